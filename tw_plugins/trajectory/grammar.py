"""The grammar of a trajectory (spec §1): one small automaton over a stream of tags and text.

::

    text* ( <Parallel> <Outlines> (<Outline> i: … </Outline>)+ </Outlines>
                       (<Thread> i: … </Thread>)+ [<Conclusion> … </Conclusion>] </Parallel> text* )*

The automaton does not know where its events come from. :mod:`tw_plugins.trajectory` makes them from text
(position = character) and from token ids (position = index of the id), so both are judged by the same rules.
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum, auto
from typing import NamedTuple

TAGS = (
    "<Parallel>",
    "</Parallel>",
    "<Outlines>",
    "</Outlines>",
    "<Outline>",
    "</Outline>",
    "<Thread>",
    "</Thread>",
    "<Conclusion>",
    "</Conclusion>",
)
THINK_TAGS = ("<think>", "</think>")
MAX_THREADS = 50


class FormatCode(StrEnum):
    """Why a trajectory is not well-formed. The set is fixed: metrics and filters count by it."""

    UNEXPECTED_TAG = "unexpected_tag"  # a control tag where the grammar has another one, or none
    NESTED_BLOCK = "nested_block"  # <Parallel> before the block around it is closed
    TAG_IN_BODY = "tag_in_body"  # a control tag inside an outline, a thread or a conclusion
    SPELLED_TAG = "spelled_tag"  # token ids only: a control tag spelled in ordinary tokens
    STRAY_TEXT = "stray_text"  # text between the parts of a block
    UNCLOSED = "unclosed"  # the trajectory ends inside a block
    MISSING_NUMBER = "missing_number"  # an outline or a thread does not begin with "i:"
    OUTLINE_NUMBERS = "outline_numbers"  # the outlines are not numbered 1..n, or there are none
    THREAD_NUMBERS = "thread_numbers"  # the threads are not numbered like the outlines
    TOO_MANY_THREADS = "too_many_threads"  # more than 50 outlines in a block
    OUTSIDE_THINK = "outside_think"  # a block before <think> or after </think>
    THINK_IN_BLOCK = "think_in_block"  # <think> or </think> inside a block


class FormatError(NamedTuple):
    """One reason.

    Args:
        code: which rule is broken.
        message: the rule in words, with what was found.
        position: where: index of the character, or of the token id.
    """

    code: FormatCode
    message: str
    position: int


class Event(NamedTuple):
    """A piece of the stream: a tag, a run of text, or a tag spelled in ordinary tokens."""

    text: str
    position: int
    is_tag: bool = False
    is_spelled: bool = False


class Piece(NamedTuple):
    """What the automaton has read: "text", "outline", "thread", "conclusion", "block" (one has ended)."""

    kind: str
    number: int
    body: str


class Place(Enum):
    """Where in the grammar the automaton stands."""

    OUTSIDE = auto()
    BLOCK = auto()  # after <Parallel>
    OUTLINES = auto()  # between outlines
    OUTLINE = auto()  # in the body of one
    FORKED = auto()  # after </Outlines>
    THREAD = auto()  # in the body of one
    JOINED = auto()  # after </Thread>
    CONCLUSION = auto()
    CONCLUDED = auto()
    LOST = auto()  # after an error: skips to the end of the block


_NEXT = {
    (Place.OUTSIDE, "<Parallel>"): Place.BLOCK,
    (Place.BLOCK, "<Outlines>"): Place.OUTLINES,
    (Place.OUTLINES, "<Outline>"): Place.OUTLINE,
    (Place.OUTLINE, "</Outline>"): Place.OUTLINES,
    (Place.OUTLINES, "</Outlines>"): Place.FORKED,
    (Place.FORKED, "<Thread>"): Place.THREAD,
    (Place.THREAD, "</Thread>"): Place.JOINED,
    (Place.JOINED, "<Thread>"): Place.THREAD,
    (Place.JOINED, "<Conclusion>"): Place.CONCLUSION,
    (Place.CONCLUSION, "</Conclusion>"): Place.CONCLUDED,
    (Place.JOINED, "</Parallel>"): Place.OUTSIDE,
    (Place.CONCLUDED, "</Parallel>"): Place.OUTSIDE,
}
_BODIES = (Place.OUTLINE, Place.THREAD, Place.CONCLUSION)
# Nine digits at most: `int` raises on thousands of them, and a model may write those.
_NUMBER = re.compile(r"\s*([1-9][0-9]{0,8}):")


class Automaton:
    """Reads events one by one; ``errors``, ``pieces``, ``place`` and ``outlines`` may be read at any time."""

    def __init__(self) -> None:
        self.place = Place.OUTSIDE
        self.errors: list[FormatError] = []
        self.pieces: list[Piece] = []
        self.outlines: list[int] = []  # numbers in the block read last; 0 for a missing number
        self._threads: list[int] = []
        self._body: list[str] = []
        self._opened = 0  # position of the <Parallel> of this block
        self._entered = 0  # position of the tag that opened this body
        self._thinking: bool | None = None  # None: no think tag so far
        self._unthought: list[int] = []  # positions of the blocks read while that is so

    def feed(self, event: Event) -> None:
        """Reads one event."""
        if event.is_tag and event.text in THINK_TAGS:
            self._think(event)
        elif event.is_tag:
            self._tag(event)
        elif event.is_spelled:
            # From here on it is text: one spelled tag is one error, and the block around it is still judged.
            self._error(FormatCode.SPELLED_TAG, f"{event.text} is spelled in ordinary tokens", event.position)
            self._body.append(event.text)
        else:
            self._text(event)

    def finish(self) -> list[FormatError]:
        """Ends the stream; returns all errors in order of position."""
        if self.place is not Place.OUTSIDE:
            self._error(FormatCode.UNCLOSED, "the block is never closed with </Parallel>", self._opened)
        self._flush_text()
        # Some point back, to the tag that opened a body or to a block before <think>.
        return sorted(self.errors, key=lambda error: error.position)

    def _error(self, code: FormatCode, message: str, position: int) -> None:
        self.errors.append(FormatError(code, message, position))

    def _text(self, event: Event) -> None:
        if self.place is Place.OUTSIDE or self.place in _BODIES:
            self._body.append(event.text)
        elif self.place is not Place.LOST and event.text.strip():
            sample = event.text.strip()[:40]
            self._error(
                FormatCode.STRAY_TEXT, f"text between the parts of a block: {sample!r}", event.position
            )

    def _think(self, event: Event) -> None:
        opening = event.text == "<think>"
        if self.place is Place.OUTSIDE:
            self._body.append(event.text)
        elif self.place is not Place.LOST:
            self._error(FormatCode.THINK_IN_BLOCK, f"{event.text} inside a block", event.position)
        # A first </think> alone is well-formed: chat templates put <think> into the prompt.
        if opening and self._thinking is None:
            for position in self._unthought:
                self._error(FormatCode.OUTSIDE_THINK, "the block stands before <think>", position)
        self._thinking = opening

    def _tag(self, event: Event) -> None:
        before, after = self.place, _NEXT.get((self.place, event.text))
        if after is None:
            self._unexpected(event)
            return
        self.place = after
        if after is Place.BLOCK:
            self._open_block(event.position)
        elif before in _BODIES:
            self._close_body(before)
        elif after in _BODIES:
            self._entered, self._body = event.position, []
        elif after is Place.FORKED:
            self._check_outlines(event.position)
        elif after is Place.OUTSIDE:
            self._close_block(event.position)

    def _unexpected(self, event: Event) -> None:
        """Reports one error, then skips the rest of the block; a new <Parallel> starts afresh."""
        place, (tag, position) = self.place, event[:2]
        if tag == "<Parallel>":
            self._error(FormatCode.NESTED_BLOCK, "a block begins before the last one is closed", position)
            self.place = Place.BLOCK
            self._open_block(position)
        elif place in _BODIES:
            self._error(FormatCode.TAG_IN_BODY, f"{tag} inside the body of a {place.name.lower()}", position)
        elif place is not Place.LOST:
            wanted = " or ".join(wanted for at, wanted in _NEXT if at is place)
            self._error(FormatCode.UNEXPECTED_TAG, f"found {tag}, expected {wanted}", position)
        # Lost until the block ends, or each tag that follows would be one more error of the same cause.
        if tag != "<Parallel>" and place is not Place.OUTSIDE:
            self.place = Place.OUTSIDE if tag == "</Parallel>" else Place.LOST
            self._body = []

    def _flush_text(self) -> None:
        if self.place is Place.OUTSIDE and self._body:
            self.pieces.append(Piece("text", 0, "".join(self._body)))
        self._body = []

    def _open_block(self, position: int) -> None:
        if self._body:
            self.pieces.append(Piece("text", 0, "".join(self._body)))
        self._body, self.outlines, self._threads, self._opened = [], [], [], position
        # Judged later, by whether a <think> comes: text without think tags has its blocks anywhere.
        if self._thinking is None:
            self._unthought.append(position)
        elif not self._thinking:
            self._error(FormatCode.OUTSIDE_THINK, "the block stands after </think>", position)

    def _close_body(self, place: Place) -> None:
        kind, body, number = place.name.lower(), "".join(self._body), 0
        self._body = []
        if place is not Place.CONCLUSION:
            if found := _NUMBER.match(body):
                number, body = int(found[1]), body[found.end() :]
            else:
                message = f'the {kind} does not begin with its number, as in "1:"'
                self._error(FormatCode.MISSING_NUMBER, message, self._entered)
            (self.outlines if place is Place.OUTLINE else self._threads).append(number)
        self.pieces.append(Piece(kind, number, body))

    def _check_outlines(self, position: int) -> None:
        count = len(self.outlines)
        # 0 is a missing number, which has its own error.
        if 0 not in self.outlines and (not count or self.outlines != list(range(1, count + 1))):
            message = f"outlines are numbered {_shorten(self.outlines)}, not 1..n"
            self._error(FormatCode.OUTLINE_NUMBERS, message, position)
        if count > MAX_THREADS:
            message = f"{count} outlines in a block, at most {MAX_THREADS}"
            self._error(FormatCode.TOO_MANY_THREADS, message, position)

    def _close_block(self, position: int) -> None:
        if 0 not in [*self.outlines, *self._threads] and self.outlines != self._threads:
            message = f"threads are numbered {_shorten(self._threads)}, outlines {_shorten(self.outlines)}"
            self._error(FormatCode.THREAD_NUMBERS, message, position)
        self.pieces.append(Piece("block", 0, ""))


def _shorten(numbers: list[int]) -> str:
    """``[1, 2, 3, … 9 in all]`` for a message."""
    if len(numbers) <= 8:
        return str(numbers)
    return f"[{', '.join(map(str, numbers[:8]))}, … {len(numbers)} in all]"
