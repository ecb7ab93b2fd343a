"""A model on problems, and what the figures say."""
