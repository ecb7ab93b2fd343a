"""A real pretrained model on two CPU cores: SmolLM2-135M-Instruct, and problems on which to fork."""
