"""The row viewer."""
