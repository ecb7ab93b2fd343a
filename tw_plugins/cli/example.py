"""What a command's help ends with: a command to paste."""

from __future__ import annotations

__all__ = ["example"]

AS_IT_IS = "\b"  # click's mark of a paragraph whose lines are not joined


def example(*commands: str) -> str:
    """The ``epilog`` of a command.

    Args:
        commands: each as it is typed, in at most 76 characters: a broken line could not be pasted.
    """
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\n".join([AS_IT_IS, title, *(f"  {one}" for one in commands)])
