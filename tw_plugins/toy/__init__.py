"""Tasks that need no download: problems, tokenizer and model made from a seed."""
