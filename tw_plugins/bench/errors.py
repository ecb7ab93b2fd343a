"""What a user asked of a benchmark and cannot have."""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = ["BenchError"]


class BenchError(UserError, ValueError):
    """A setting of the benchmark that cannot be used; the message names it and what can."""
