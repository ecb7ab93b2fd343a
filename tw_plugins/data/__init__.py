"""What training needs before it starts: models that know the control tokens, and trajectories."""
