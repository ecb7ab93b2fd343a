r"""A trajectory as data: parse, validate, render (spec §1).

The form that checkpoints are trained on, and that :func:`render` writes::

    text <Parallel>\n<Outlines>\n<Outline>1: …</Outline>\n…</Outlines>
    <Thread>\n1: body\n</Thread><Thread>\n2: body\n</Thread>\n</Parallel> text

The parser also accepts ``<Thread>1:`` as the paper prints it, and any white space between the parts of a
block. Text without a block is well-formed. Token ids are judged by the same automaton; there a tag counts
only as its own single token, and one that is spelled in ordinary tokens is an error.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tw_plugins.errors import UserError
from tw_plugins.trajectory.grammar import (
    MAX_THREADS,
    TAGS,
    THINK_TAGS,
    Automaton,
    Event,
    FormatCode,
    FormatError,
    Piece,
    Place,
)

if TYPE_CHECKING:
    from tw_plugins.trajectory.tags import ControlTokens

__all__ = [
    "MAX_THREADS",
    "Block",
    "FormatCode",
    "FormatError",
    "Outline",
    "Thread",
    "Trajectory",
    "TrajectoryError",
    "outline_numbers",
    "parse",
    "render",
    "validate",
    "validate_ids",
]

_TAG = re.compile("|".join(map(re.escape, (*TAGS, *THINK_TAGS))))


@dataclass(frozen=True)
class Outline:
    """What thread ``number`` will do."""

    number: int
    text: str


@dataclass(frozen=True)
class Thread:
    """What thread ``number`` did."""

    number: int
    text: str


@dataclass(frozen=True)
class Block:
    """One fork and join: as many threads as outlines, both numbered 1..n."""

    outlines: tuple[Outline, ...]
    threads: tuple[Thread, ...]
    conclusion: str | None = None


@dataclass(frozen=True)
class Trajectory:
    """Text and blocks in order. Text is everything outside blocks as it stands, think tags included."""

    parts: tuple[str | Block, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks alone, in order."""
        return tuple(part for part in self.parts if isinstance(part, Block))


class TrajectoryError(UserError, ValueError):
    """A trajectory is not well-formed; ``errors`` has every reason."""

    def __init__(self, errors: Sequence[FormatError]) -> None:
        self.errors = list(errors)
        first = self.errors[0]
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        super().__init__(
            f"malformed trajectory: {first.message} at position {first.position} [{first.code}]{more}"
        )


def parse(text: str) -> Trajectory:
    """Reads a trajectory.

    Raises:
        TrajectoryError: the text is not well-formed.
    """
    automaton, errors = _read(_events_from_text(text))
    if errors:
        raise TrajectoryError(errors)
    return Trajectory(tuple(_assemble(automaton.pieces)))


def validate(text: str) -> list[FormatError]:
    """Every reason why text is not well-formed, by position in characters; empty when it is."""
    return _read(_events_from_text(text))[1]


def validate_ids(ids: Sequence[int], tags: ControlTokens) -> list[FormatError]:
    """Like :func:`validate` for (N,) token ids; positions are indices into them."""
    return _read(_events_from_ids(ids, tags))[1]


def outline_numbers(ids: Sequence[int], tags: ControlTokens) -> list[int] | None:
    """Numbers of a block just opened, for phase 2 of the state machine (P5).

    Args:
        ids: (N,) from a ``<Parallel>`` to a ``</Outlines>``, both included.
        tags: the tokenizer's control tokens.

    Returns:
        ``[1, …, n]`` with n ≥ 1, or None when this is not exactly one list of outlines with these numbers.
        n may exceed what a block may have: whoever forks has a limit of their own.
    """
    automaton, _ = _read(_events_from_ids(ids, tags))
    # UNCLOSED is no reason, the block has just been opened; FORKED says that nothing follows </Outlines>.
    bad = {error.code for error in automaton.errors} - {FormatCode.TOO_MANY_THREADS, FormatCode.UNCLOSED}
    return None if bad or automaton.place is not Place.FORKED else automaton.outlines


def render(trajectory: Trajectory) -> str:
    """Writes a trajectory; ``parse(render(t)) == t`` when no two neighbouring parts are text.

    Raises:
        TrajectoryError: what came out is not well-formed (a tag in a body, wrong numbers, no thread, …).
    """
    text = "".join(part if isinstance(part, str) else _render_block(part) for part in trajectory.parts)
    # A body is free text: a tag in it would make another trajectory of this one.
    if errors := validate(text):
        raise TrajectoryError(errors)
    return text


def _render_block(block: Block) -> str:
    outlines = "".join(f"<Outline>{o.number}: {o.text}</Outline>\n" for o in block.outlines)
    threads = "".join(f"<Thread>\n{t.number}: {t.text}\n</Thread>" for t in block.threads)
    conclusion = "" if block.conclusion is None else f"\n<Conclusion>\n{block.conclusion}\n</Conclusion>"
    return f"<Parallel>\n<Outlines>\n{outlines}</Outlines>\n{threads}{conclusion}\n</Parallel>"


def _read(events: Iterable[Event]) -> tuple[Automaton, list[FormatError]]:
    automaton = Automaton()
    for event in events:
        automaton.feed(event)
    return automaton, automaton.finish()


def _assemble(pieces: Iterable[Piece]) -> Iterator[str | Block]:
    """Parts of a trajectory from what the automaton read (without errors)."""
    outlines: list[Outline] = []
    threads: list[Thread] = []
    conclusion: str | None = None
    for kind, number, body in pieces:
        if kind == "text":
            yield body
        elif kind == "outline":
            # One space and one newline, those that `render` puts there; what a body has besides is its own.
            outlines.append(Outline(number, body.removeprefix(" ")))
        elif kind == "thread":
            threads.append(Thread(number, body.removeprefix(" ").removesuffix("\n")))
        elif kind == "conclusion":
            conclusion = body.removeprefix("\n").removesuffix("\n")
        else:
            yield Block(tuple(outlines), tuple(threads), conclusion)
            outlines, threads, conclusion = [], [], None


def _events_from_text(text: str) -> Iterator[Event]:
    end = 0
    for match in _TAG.finditer(text):
        if match.start() > end:
            yield Event(text[end : match.start()], end)
        yield Event(match[0], match.start(), is_tag=True)
        end = match.end()
    if end < len(text):
        yield Event(text[end:], end)


def _events_from_ids(ids: Sequence[int], tags: ControlTokens) -> Iterator[Event]:
    tag_of, start = tags.tag_of, 0
    for index, token in enumerate(ids):
        if tag := tag_of.get(token):
            yield from _events_from_run(ids[start:index], start, tags)
            yield Event(tag, index, is_tag=True)
            start = index + 1
    yield from _events_from_run(ids[start:], start, tags)


def _events_from_run(run: Sequence[int], start: int, tags: ControlTokens) -> Iterator[Event]:
    """Events of ids without control tokens: text, think tags (one or several ids), spelled control tags."""
    # In one piece: a tag or a character may be spelled over several ids.
    for text, offset, is_tag, _ in _events_from_text(tags.decode(run)):
        # Decoding ever longer prefixes finds the id in which a character begins; offset 0 needs none of it.
        # A bisection asks for log N of these prefixes.
        lengths = _PrefixLengths(run, tags)
        position = start + (bisect_right(lengths, offset) - 1 if offset else 0)
        is_think = text in THINK_TAGS
        yield Event(text, position, is_tag=is_tag and is_think, is_spelled=is_tag and not is_think)


class _PrefixLengths(Sequence[int]):
    """Lengths in characters of the texts of ``run[:0]``, ``run[:1]``, …, decoded only where asked."""

    def __init__(self, run: Sequence[int], tags: ControlTokens) -> None:
        self._run, self._tags = run, tags

    def __len__(self) -> int:
        return len(self._run)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        return len(self._tags.decode(self._run[:index]))
