"""A trajectory as the pages see it, whichever file it was read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.evaluation.records import Span
from tw_plugins.evaluation.shapes import Measurable
from tw_plugins.latency import Latency

__all__ = ["ViewError", "Viewed", "prompt_of"]


class ViewError(UserError, ValueError):
    """Nothing to show; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Viewed(Measurable):
    """One trajectory.

    Attributes:
        form: which kind of file it is from.
        source: name of the file.
        line: in the file, counted from 1; a row in Parquet.
        prompt: for people.
        text: the response, control tags included where the file has them.
        messages: the prompt as chat messages, where the file has them.
        kind: of the problem.
        mode: "parallel" or "autoregressive"; "" where the file does not say.
        answer: the reference, what is expected.
        given: the final answer that was found; "" where there is none, or the file does not say.
        unanswered: the file says that there is no final answer.
        correct, score, wall_s: None where the file does not say; ``wall_s`` in seconds.
        limits: limit → how often it was hit.
        well_formed: what the file says of the ids; None where it says nothing.
        spans: requests with their tokens, where the file has them.
        totals: measures in tokens, where the file has them without spans.
        rejected: code of the reason why a record goes no further; "" where it does.
        detail: of that reason.
        note: what a reader has to know about this text.
        more: other figures of the file.
    """

    form: str
    source: str
    line: int
    prompt: str
    text: str
    messages: Sequence[dict[str, Any]] = ()
    kind: str = ""
    mode: str = ""
    answer: str = ""
    given: str = ""
    unanswered: bool = False
    correct: bool | None = None
    score: float | None = None
    wall_s: float | None = None
    limits: dict[str, int] = field(default_factory=dict)
    well_formed: bool | None = None
    spans: tuple[Span, ...] = ()
    totals: Latency | None = None
    rejected: str = ""
    detail: str = ""
    note: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> list[str]:
        """Why the trajectory is malformed, in words; empty when it is not."""
        if self.malformed and not self.errors:
            return ["by its token ids, which this file does not have: the text alone breaks no rule"]
        return [f"{e.message}, at character {e.position} [{e.code}]" for e in self.errors]


def prompt_of(prompt: str | Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """A prompt for people, and its chat messages where it has any."""
    if isinstance(prompt, str):
        return prompt, []
    messages = [dict(message) for message in prompt]
    return "\n".join(str(one["content"]) for one in messages), messages
