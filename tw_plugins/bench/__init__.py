"""`threadweaver bench`: each figure beside its alternative, measured in the same run."""

from tw_plugins.errors import UserError

__all__ = ["BenchError"]


class BenchError(UserError, ValueError):
    """A setting of the benchmark that cannot be used; the message names it and what can."""
