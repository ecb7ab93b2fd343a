"""What a user asked of a benchmark and cannot have."""

from __future__ import annotations

__all__ = ["BenchError"]


class BenchError(ValueError):
    """A setting of the benchmark that cannot be used; the message names it and what can."""
