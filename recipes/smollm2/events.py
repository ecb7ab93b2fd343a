"""Problems in plain English whose parts are independent, or are not: events that are moved from day to day.

An event is planned for a day of the week and then moved by one to three days, later or earlier, a few times.
Asked is the last day of every event. Two kinds of problem differ in one clause:

* decomposable: each event has a first day of its own, so each can be a thread;
* chain: each but the first is planned for the day that the one before it ends on. There is nothing to fork.

Forty-two facts (seven days, six moves) are all there is to know, which a small pretrained model nearly does;
sums of two-digit numbers it gets wrong two times in ten. With three events or four an answer is one of 343 or
2,401.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

__all__ = ["DAYS", "KINDS", "Event", "Kind", "Problem", "Shape", "Split", "draw", "split_of"]

Kind = Literal["decomposable", "chain"]
Split = Literal["train", "test"]
Shape = tuple[int, int]
"""Events, and moves of each."""

KINDS: tuple[Kind, Kind] = ("decomposable", "chain")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES = (
    "wedding", "concert", "dinner", "lecture", "party", "race", "meeting", "parade", "picnic", "exam", "trip",
    "auction", "festival", "interview", "match", "workshop",
)  # fmt: skip
"""One token each for SmolLM2, as are the days."""
SHAPES: tuple[Shape, ...] = ((4, 4), (4, 3), (3, 4))
MOVES = (-3, -2, -1, 1, 2, 3)
TEST_SHARE = 10  # one problem in so many is held out


@dataclass(frozen=True)
class Event:
    """
    Attributes:
        name: one word.
        start: index of its first day in `DAYS`; None where that is the last day of the event before.
        moves: days, earlier ones negative.
    """

    name: str
    start: int | None
    moves: tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """Events, and which of the wordings tells of them (`wording.py` draws from ``voice``)."""

    kind: Kind
    events: tuple[Event, ...]
    voice: int

    @property
    def days(self) -> tuple[tuple[str, ...], ...]:
        """Of each event its first day, and the day after each move."""
        found: list[tuple[str, ...]] = []
        for event in self.events:
            at = DAYS.index(found[-1][-1]) if event.start is None else event.start
            days = [DAYS[at]]
            for move in event.moves:
                at = (at + move) % len(DAYS)
                days.append(DAYS[at])
            found.append(tuple(days))
        return tuple(found)

    @property
    def answer(self) -> str:
        """``wedding Friday, concert Monday``: the last days."""
        ends = zip(self.events, self.days, strict=True)
        return ", ".join(f"{event.name} {days[-1]}" for event, days in ends)


def draw(rng: random.Random, kind: Kind, shapes: tuple[Shape, ...] = SHAPES) -> Problem:
    """One random problem."""
    count, moves = rng.choice(shapes)
    starts: list[int | None] = [rng.randrange(len(DAYS)) for _ in range(count)]
    if kind == "chain":
        starts[1:] = [None] * (count - 1)
    events = (
        Event(name, start, tuple(rng.choice(MOVES) for _ in range(moves)))
        for name, start in zip(rng.sample(NAMES, count), starts, strict=True)
    )
    return Problem(kind, tuple(events), rng.getrandbits(30))


def split_of(problem: Problem) -> Split:
    """The side of the train/test split, decided by the moves alone: whatever the kind, the names and the days."""
    digest = hashlib.sha256(repr([event.moves for event in problem.events]).encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % TEST_SHARE == 0 else "train"
