"""A trajectory as the pages see it, whichever file it was read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tw_plugins.evaluation.records import Span
from tw_plugins.latency import Latency, latency_of
from tw_plugins.trajectory import TAGS, FormatError, validate
from tw_plugins.trajectory.encoding import sampled_texts

__all__ = [
    "CHARACTERS", "TOKENS", "Measured", "Part", "ViewError", "Viewed", "outlines_of", "parts_of", "prompt_of",
]  # fmt: skip

CHARACTERS, TOKENS = "characters", "tokens"
_ANY_TAG = "|".join(map(re.escape, TAGS))
_OUTLINE = re.compile(rf"<Outline>\s*(\d+):\s*(.*?)\s*(?={_ANY_TAG}|\Z)", re.DOTALL)

Measured = Callable[[str], int]
"""The length of a text: its tokens, or its characters where there is no tokenizer."""


class ViewError(ValueError):
    """Nothing to show; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Viewed:
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
        answer: the reference.
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

    @cached_property
    def errors(self) -> list[FormatError]:
        """How the text breaks the grammar; empty when the file says that the ids do not."""
        return [] if self.well_formed else validate(self.text)

    @cached_property
    def malformed(self) -> bool:
        """What the file says of the ids, else whether the text breaks the grammar."""
        return bool(self.errors) if self.well_formed is None else not self.well_formed

    @property
    def reasons(self) -> list[str]:
        """Why the trajectory is malformed, in words; empty when it is not."""
        if self.malformed and not self.errors:
            return ["by its token ids, which this file does not have: the text alone breaks no rule"]
        return [f"{e.message}, at character {e.position} [{e.code}]" for e in self.errors]

    def measure(self, measured: Measured) -> tuple[tuple[Span, ...], Latency]:
        """Requests and measures: those of the file, else ``measured`` as if decoded in parallel.

        There are no requests where the file has measures without them.
        """
        if self.totals is not None:
            return (), self.totals
        spans = self.spans or tuple(
            Span(part.block, part.thread, measured(part.text)) for part in parts_of(self)
        )
        return spans, latency_of((span.block, span.tokens) for span in spans)


@dataclass(frozen=True)
class Part:
    """A stretch of a response: one thread, or sequential text, where ``block`` and ``thread`` are None."""

    block: int | None
    thread: int | None
    text: str


def prompt_of(prompt: str | Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """A prompt for people, and its chat messages where it has any."""
    if isinstance(prompt, str):
        return prompt, []
    messages = [dict(message) for message in prompt]
    return "\n".join(str(one["content"]) for one in messages), messages


def parts_of(viewed: Viewed) -> list[Part]:
    """The response in parts, whole or malformed; what is injected between them is left out."""
    return [Part(*part) for part in sampled_texts(viewed.text)]


def outlines_of(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of each outline, closed or not."""
    for match in _OUTLINE.finditer(text):
        yield int(match[1]), match[2]
