"""What keeps a plan from being made."""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = ["PlanError"]


class PlanError(UserError, ValueError):
    """The message says what to give."""
