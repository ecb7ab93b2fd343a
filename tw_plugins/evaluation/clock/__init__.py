"""Wall clock of two models, each problem decoded by both back to back."""
