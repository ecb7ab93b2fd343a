"""What is wrong with a pipeline's file."""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = ["PipelineError"]


class PipelineError(UserError, ValueError):
    """The message names the file, its line where there is one, and what to write instead."""
