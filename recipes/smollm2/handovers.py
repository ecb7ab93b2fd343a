"""Problems in plain English whose parts are independent, or are not: things that people hand on.

Everybody always hands things to one and the same person, which the problem says. Some things start with
somebody and are handed on a few times; asked is who has each of them in the end. Two kinds of problem:

* decomposable: each thing starts with a person of its own, so each can be a thread;
* chain: each but the first starts with whoever ends up with the one before. There is nothing to fork.

All that a solution needs stands in the problem: a small pretrained model looks up and copies well, and knows
little (the days of the week it miscounts every other time, sums of two-digit numbers two times in ten). The
people stand in one ring, so no hand-over returns early and an end is one of eight people; four of them can't
be guessed. Every problem has as many things and hand-overs: where their numbers varied, each hand-over of a
held-out problem was right, and a third of the answers wrong for want of one, or of a thing.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

__all__ = ["KINDS", "NAMES", "THINGS", "Kind", "Problem", "Split", "Thing", "draw", "split_of"]

Kind = Literal["decomposable", "chain"]
Split = Literal["train", "test"]

KINDS: tuple[Kind, Kind] = ("decomposable", "chain")
NAMES = (
    "Adam", "Alice", "Amy", "Anna", "Ben", "Bob", "Carl", "Clara", "David", "Ella", "Emma", "Eric", "Frank",
    "George", "Grace", "Helen", "Henry", "Jack", "Jane", "Kate", "Laura", "Leo", "Lisa", "Lucy", "Max", "Mia",
    "Oscar", "Peter", "Rachel", "Simon", "Tom", "Victor",
)  # fmt: skip
THINGS = (
    "bag", "ball", "bell", "book", "box", "camera", "clock", "coin", "cup", "hat", "key", "letter", "map",
    "pen", "ring", "shell",
)  # fmt: skip
"""One token each for SmolLM2, as are the names."""
PEOPLE = 9
COUNT, TIMES = 4, 5  # things, and how often each is handed on
TEST_SHARE = 10  # one problem in so many is held out


@dataclass(frozen=True)
class Thing:
    """
    Attributes:
        name: one word.
        start: who has it first; None where that is whoever ends up with the thing before.
    """

    name: str
    start: str | None


@dataclass(frozen=True)
class Problem:
    """
    Attributes:
        ring: the people; each hands things to the next, the last to the first.
        times: how often each thing is handed on.
        voice: which of the wordings tells of it (`wording.py`).
    """

    kind: Kind
    ring: tuple[str, ...]
    things: tuple[Thing, ...]
    times: int
    voice: int

    @property
    def holders(self) -> tuple[tuple[str, ...], ...]:
        """Of each thing who has it first, and after each hand-over."""
        found: list[tuple[str, ...]] = []
        for thing in self.things:
            at = self.ring.index(found[-1][-1] if thing.start is None else thing.start)
            found.append(tuple(self.ring[(at + step) % len(self.ring)] for step in range(self.times + 1)))
        return tuple(found)

    @property
    def answer(self) -> str:
        """``key Ben, book Clara``: who has what in the end."""
        ends = zip(self.things, self.holders, strict=True)
        return ", ".join(f"{thing.name} {holders[-1]}" for thing, holders in ends)


def draw(rng: random.Random, kind: Kind) -> Problem:
    """One random problem."""
    ring = tuple(rng.sample(NAMES, PEOPLE))
    starts: list[str | None] = [*rng.sample(ring, COUNT)]
    if kind == "chain":
        starts[1:] = [None] * (COUNT - 1)
    things = (Thing(name, start) for name, start in zip(rng.sample(THINGS, COUNT), starts, strict=True))
    return Problem(kind, ring, tuple(things), TIMES, rng.getrandbits(30))


def split_of(problem: Problem) -> Split:
    """The side of the train/test split, decided by who hands to whom alone."""
    first = problem.ring.index(min(problem.ring))
    ring = problem.ring[first:] + problem.ring[:first]
    digest = hashlib.sha256(" ".join(ring).encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % TEST_SHARE == 0 else "train"
