"""What a verifier is asked, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tw_plugins.verifiers.names import VerifierError, shown

__all__ = ["Failed", "Task", "Verdict", "Verifier", "score_in"]


class Failed(Exception):
    """No verdict on one answer: the verifier raised, was late, or died."""


class Verifier(Protocol):
    """Anybody's: a function, or an `async` one, that says how right an answer is."""

    def __call__(
        self, prompt: str, text: str, reference: Any, extra: Mapping[str, Any]
    ) -> bool | float | Awaitable[bool | float]:
        """
        Args:
            prompt: the last message of the prompt.
            text: the joined trajectory, control tokens included, without the token that ends it.
            reference: the reference answer as published: text, a list or an object.
            extra: `data_source`, and what the row has in its column `extra_info`.

        Returns:
            Right or wrong, or a score from 0 to 1.
        """


@dataclass(frozen=True)
class Task:
    """One answer to verify; the fields are those of `Verifier`."""

    prompt: str
    text: str
    reference: Any
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Attributes:
        score: 0 (wrong) to 1 (right); 0 where the verifier failed.
        unanswered: there is no final answer; of `math`, which alone looks for one.
        failed: why the verifier has no verdict.
    """

    score: float
    unanswered: bool = False
    failed: str | None = None

    @property
    def correct(self) -> bool:
        """Right in every respect."""
        return self.score == 1


def score_in(verifier: str, given: Any, odd: str | None = None) -> float:
    """The score that a verifier gave.

    Args:
        odd: how it looked, where it was no number.

    Raises:
        VerifierError: it is none.
    """
    if not isinstance(given, int | float) or not 0 <= given <= 1:
        raise VerifierError(
            f"verifier {shown(verifier)} returned {odd or repr(given)}: a score is true, false or a number "
            "from 0 to 1. Mend what it returns"
        )
    return float(given)
