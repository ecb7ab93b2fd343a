"""The trajectory browser."""
