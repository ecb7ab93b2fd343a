"""Generated trajectories through the whole path: ``python -m tests.fuzz --help``."""
