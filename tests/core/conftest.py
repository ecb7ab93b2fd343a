"""Fixtures of several tests of the core."""

from tests.core.eval_server import data, model, server

__all__ = ["data", "model", "server"]
