"""The first five minutes on a machine with GPUs: `make gpu-smoke`, see `__main__`."""
