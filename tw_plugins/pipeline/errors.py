"""What is wrong with a pipeline's file."""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = ["PipelineError"]


class PipelineError(UserError, ValueError):
    """The message says what to write instead, and where.

    Attributes:
        place: names of the part of the file, from the top, where the message does not have its line yet.
    """

    def __init__(self, message: str, place: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.place = place
