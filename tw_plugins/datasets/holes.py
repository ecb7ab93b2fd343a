"""Rows that cannot be used: each has its place and its reason, and all are counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from tw_plugins.errors import UserError

__all__ = ["BadRow", "BadRowError", "Hole", "Holes"]

T = TypeVar("T")
NAMED = 5


class BadRow(Exception):
    """Why a row cannot be used: `reason` is one of few, for counting; `detail` is of this row."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class BadRowError(UserError, ValueError):
    """A row that cannot be used, where every row must be."""


@dataclass(frozen=True)
class Hole:
    """In the place of a row that cannot be used.

    Attributes:
        where: file and row, as people count them.
    """

    where: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}{f' ({self.detail})' if self.detail else ''}"


@dataclass
class Holes:
    """Counts what is left out; with `strict` the first hole is an error.

    Attributes:
        counted: reason → rows.
        named: reason → its first holes, at most `NAMED`.
    """

    strict: bool = False
    counted: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[Hole]] = field(default_factory=dict)

    def add(self, hole: Hole) -> None:
        """
        Raises:
            BadRowError: `strict`.
        """
        if self.strict:
            raise BadRowError(f"{hole.where}: {BadRow(hole.reason, hole.detail)}. Mend or remove the row")
        self.counted[hole.reason] += 1
        if self.counted[hole.reason] <= NAMED:
            self.named.setdefault(hole.reason, []).append(hole)

    def out_of(self, items: Iterable[T | Hole]) -> Iterator[T]:
        """The items that are none."""
        for item in items:
            if isinstance(item, Hole):
                self.add(item)
            else:
                yield item

    @property
    def total(self) -> int:
        """Rows that are left out."""
        return self.counted.total()

    def warn(self, log: logging.Logger, usable: int, what: str = "rows") -> None:
        """A line of the log for each reason, beside how many rows there were."""
        for line in self.lines():
            log.warning("of %d %s %s", usable + self.total, what, line)

    def summary(self, source: str, usable: int, what: str, longest: int = 0, where: str = "") -> str:
        """One line: `my.jsonl: 8000 rows to train, 3 left out; the longest has 406 tokens`."""
        length = f"; the longest has {longest} tokens{f' ({where})' if where else ''}" if longest else ""
        return f"{source}: {usable} {what}, {self.total} left out{length}"

    def lines(self) -> list[str]:
        """For people: a line for each reason, with its rows."""
        return [
            f"{count} left out, {reason}: {', '.join(map(str, self.named[reason]))}"
            f"{', …' if count > NAMED else ''}"
            for reason, count in self.counted.most_common()
        ]
