"""The shape of trajectories: lengths, blocks and threads, as in the paper's Table 8 (P27)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from tw_plugins.evaluation.records import Span
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.latency import Latency, latency_of
from tw_plugins.trajectory import TAGS, FormatError, validate
from tw_plugins.trajectory.encoding import sampled_texts

__all__ = [
    "CHARACTERS", "TOKENS", "Measurable", "Measured", "Part", "Response", "Shapes",
    "outlines_of", "parts_of", "shapes_of",
]  # fmt: skip

CHARACTERS, TOKENS = "characters", "tokens"
_ANY_TAG = "|".join(map(re.escape, TAGS))
_OUTLINE = re.compile(rf"<Outline>\s*(\d+):\s*(.*?)\s*(?={_ANY_TAG}|\Z)", re.DOTALL)

Measured = Callable[[str], int]
"""The length of a text: its tokens, or its characters where there is no tokenizer."""


class Measurable:
    """A response and what is known of it; the base of dataclasses that have these fields.

    Attributes:
        source: name of the file.
        text: the response, control tags included where the file has them.
        well_formed: what the file says of the ids; None where it says nothing.
        spans: requests with their tokens, where the file has them.
        totals: measures in tokens, where the file has them without spans.
        rejected: code of the reason why a record goes no further; "" where it does.
    """

    source: str
    text: str
    well_formed: bool | None
    spans: tuple[Span, ...]
    totals: Latency | None
    rejected: str

    @cached_property
    def errors(self) -> list[FormatError]:
        """How the text breaks the grammar; empty when the file says that the ids do not."""
        return [] if self.well_formed else validate(self.text)

    @cached_property
    def malformed(self) -> bool:
        """What the file says of the ids, else whether the text breaks the grammar."""
        return bool(self.errors) if self.well_formed is None else not self.well_formed

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
class Response(Measurable):
    """A text of which nothing else is known."""

    source: str
    text: str
    well_formed: bool | None = None
    spans: tuple[Span, ...] = ()
    totals: Latency | None = None
    rejected: str = ""


@dataclass(frozen=True)
class Part:
    """A stretch of a response: one thread, or sequential text, where ``block`` and ``thread`` are None."""

    block: int | None
    thread: int | None
    text: str


@dataclass
class Shapes:
    """What is measured, over the trajectories that fork.

    Attributes:
        unit: "tokens" or "characters".
        trajectories, forked, malformed: how many, without the rejected ones.
        rejected: reason → records of stage 1 that go no further; they are not measured.
        errors: rule of the grammar → trajectories that break it.
        sequential: lengths of those that do not fork.
    """

    unit: str
    trajectories: int = 0
    forked: int = 0
    malformed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    sequential: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    thread_lengths: list[int] = field(default_factory=list)
    outlines: list[int] = field(default_factory=list)
    longest: list[int] = field(default_factory=list)
    total: list[int] = field(default_factory=list)
    acceleration: list[float] = field(default_factory=list)

    def add(self, trajectory: Measurable, count: Measured | None) -> None:
        """Measures one more trajectory."""
        if trajectory.rejected:
            self.rejected[trajectory.rejected] += 1
            return
        spans, latency = trajectory.measure(count or len)
        self.trajectories += 1
        self.malformed += trajectory.malformed
        self.errors.update({str(error.code) for error in trajectory.errors})
        if not latency.blocks:
            self.sequential.append(latency.total)
            return
        self.forked += 1
        self.blocks.append(latency.blocks)
        self.longest.append(latency.longest)
        self.total.append(latency.total)
        self.acceleration.append(latency.acceleration)
        self.threads += [len(block) for block in _blocks(spans)]
        self.thread_lengths += [span.tokens for block in _blocks(spans) for span in block]
        if count is not None or self.unit == CHARACTERS:
            self.outlines += [(count or len)(f" {text}") for _, text in outlines_of(trajectory.text)]


def shapes_of(trajectories: Sequence[Measurable], count: Measured | None = None) -> Shapes:
    """Measures every trajectory.

    Args:
        count: tokens of a text, for files that do not say.

    Raises:
        EvaluationError: some trajectories come with their tokens and some do not, and ``count`` is not given.
    """
    known = [bool(trajectory.spans or trajectory.totals) for trajectory in trajectories]
    if count is None and any(known) and not all(known):
        without = trajectories[known.index(False)].source
        raise EvaluationError(
            f"{without} has no token counts, other files have: give --tokenizer to count its tokens"
        )
    shapes = Shapes(TOKENS if count is not None or all(known) else CHARACTERS)
    for trajectory in trajectories:
        shapes.add(trajectory, count)
    return shapes


def parts_of(trajectory: Measurable) -> list[Part]:
    """The response in parts, whole or malformed; what is injected between them is left out."""
    return [Part(*part) for part in sampled_texts(trajectory.text)]


def outlines_of(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of each outline, closed or not."""
    for match in _OUTLINE.finditer(text):
        yield int(match[1]), match[2]


def _blocks(spans: Sequence[Span]) -> Iterator[list[Span]]:
    for block, group in groupby(spans, key=lambda span: span.block):
        if block is not None:
            yield list(group)
