"""The error of an engine that others may stand in for."""

from __future__ import annotations

from tw_plugins.rollout import EngineError

__all__ = ["EngineGone"]


class EngineGone(EngineError):
    """An engine that did not answer because of what it is, not because of what it was asked.

    Attributes:
        for_good: it will not come back.
    """

    def __init__(self, message: str, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good

    def __reduce__(self) -> tuple[type[EngineGone], tuple[str, bool]]:
        """A process hands it to another with both."""
        return type(self), (str(self), self.for_good)
