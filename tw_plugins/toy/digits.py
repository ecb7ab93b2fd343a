"""A toy task whose working can, or cannot, be split into threads.

A problem is a few groups of lettered digits. Within a group a running value ``r`` is replaced, letter by
letter, by ``|digit - r|``. Two kinds of problem look alike but for the link between their groups:

* decomposable, ``Aa3b5+Bc1d4?``: every group starts from 0, and at the end the groups' results are combined
  by the same rule. The groups are independent, so each can be a thread.
* chain, ``Aa3b5>Bc1d4?``: a group starts from the result of the one before; the last is the answer.
  There is nothing to fork.

A group's working restates every operand next to where it is used (``a3-0=3``: letter, its digit, the running
value, the new value), so that a model of a million parameters learns it by look-up in minutes. It is
long compared with an outline, so that a fork shortens the token latency.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

Kind = Literal["decomposable", "chain"]
Split = Literal["train", "test"]
KINDS: tuple[Kind, Kind] = ("decomposable", "chain")
LINKS: dict[Kind, str] = {"decomposable": "+", "chain": ">"}
GROUP_NAMES = ascii_uppercase[:6]
RESULT_NAMES = ascii_uppercase[-6:]
TEST_SHARE = 10  # one problem in so many is held out


@dataclass(frozen=True)
class Sizes:
    """How large problems are.

    ``shapes`` are (groups, digits per group), one drawn per problem; digits are 0..``base``-1.

    Raises:
        ValueError: a shape needs more letters or group names than there are, or ``base`` is outside 2..10.
    """

    shapes: tuple[tuple[int, int], ...] = ((4, 5),)
    base: int = 6

    def __post_init__(self) -> None:
        if not 2 <= self.base <= 10:
            raise ValueError(f"Sizes.base is {self.base}: digits are single characters, choose 2..10")
        if not self.shapes:
            raise ValueError("Sizes.shapes is empty: give at least one (groups, digits) pair")
        for groups, digits in self.shapes:
            if not (1 <= groups <= len(GROUP_NAMES) and 1 <= digits <= len(ascii_lowercase) // groups):
                raise ValueError(
                    f"Sizes.shapes has ({groups}, {digits}): at most {len(GROUP_NAMES)} groups "
                    f"and {len(ascii_lowercase)} digits in all, at least one of each"
                )


STANDARD = Sizes()
WARM_UP = Sizes(shapes=((2, 2), (3, 2), (4, 2), (3, 3), (2, 4), (4, 3), *STANDARD.shapes))
"""Short, so that steps are cheap and the first look-ups are learned among few tokens; of many shapes, so that
no letter stands at one distance from its digit; three of seven with as many groups as later, so that results
between the first and the last are looked up too; and one as long as later, so that no letter is new then."""
SMOKE = Sizes(shapes=((2, 2), (2, 3)), base=4)


@dataclass(frozen=True)
class Problem:
    """Digits by group, and whether the groups are independent."""

    kind: Kind
    groups: tuple[tuple[int, ...], ...]

    @property
    def lettered(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """The groups with each digit's letter; the alphabet runs on through the groups."""
        letters = iter(ascii_lowercase)
        return tuple(tuple((next(letters), digit) for digit in group) for group in self.groups)

    @property
    def prompt(self) -> str:
        """The question as the user asks it; it ends in a newline, and nothing more announces the answer."""
        named = (
            name + "".join(f"{letter}{digit}" for letter, digit in group)
            for name, group in zip(GROUP_NAMES, self.lettered, strict=False)
        )
        return LINKS[self.kind].join(named) + "?\n"

    @property
    def results(self) -> tuple[int, ...]:
        """The value each group ends with."""
        results: list[int] = []
        for group in self.groups:
            carry = results[-1] if results and self.kind == "chain" else 0
            results.append(fold(group, carry))
        return tuple(results)

    @property
    def answer(self) -> int:
        """Chain: the last result. Decomposable: the results, folded like digits."""
        return self.results[-1] if self.kind == "chain" else fold(self.results)


def fold(digits: tuple[int, ...], start: int = 0) -> int:
    """``r`` ← ``|digit - r|`` over all digits."""
    value = start
    for digit in digits:
        value = abs(digit - value)
    return value


def draw(rng: random.Random, kind: Kind, sizes: Sizes = STANDARD) -> Problem:
    """One random problem."""
    groups, digits = rng.choice(sizes.shapes)
    values = [[rng.randrange(sizes.base) for _ in range(digits)] for _ in range(groups)]
    return Problem(kind, tuple(tuple(group) for group in values))


def split_of(problem: Problem) -> Split:
    """The side of the train/test split, decided by the digits alone.

    Independent of seed and kind: no problem of one side, nor its twin of the other kind, is on the other.
    """
    digest = hashlib.sha256(repr(problem.groups).encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % TEST_SHARE == 0 else "train"
