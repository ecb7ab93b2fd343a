"""A real pretrained model on two CPU cores: SmolLM2-135M-Instruct learns to fork (README.md)."""
