"""Generated trajectories through state machine, row, mask, reward and metrics: ``python -m tests.fuzz --help``."""
