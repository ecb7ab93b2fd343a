"""What keeps a step from being simulated."""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = ["SimulationError"]


class SimulationError(UserError, ValueError):
    """The message says what to give."""
