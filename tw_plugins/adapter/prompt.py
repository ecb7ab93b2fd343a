"""A prompt that leaves no room for its response."""

from __future__ import annotations

from typing import Self

from tw_plugins.errors import UserError


class PromptTooLong(UserError, ValueError):
    """A prompt that does not fit; cutting it would train on another problem."""

    @classmethod
    def of(cls, tokens: int, why: str, text: str) -> Self:
        """
        Args:
            tokens: of the prompt.
            why: the framework's settings and what to set instead; follows the number of tokens.
            text: the prompt, of which the beginning is shown.
        """
        return cls(f"a prompt has {tokens} tokens{why}. The prompt begins: {text[:80]!r}")
