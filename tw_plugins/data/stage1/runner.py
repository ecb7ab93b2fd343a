"""One step over a file of records: several at a time, each written when it is done, none done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tw_plugins.data.stage1.chat import Refused, Unanswered
from tw_plugins.data.stage1.jsonl import Record, append, finished, numbered
from tw_plugins.gathering import all_or_raise

__all__ = ["InputError", "Rejected", "Tally", "Work", "run_step"]

Work = Callable[[Record], Awaitable[Record]]
"""What a step does with a record: the record that the next step reads."""


class Rejected(ValueError):
    """A record that goes no further; `code` is one of few, the message says more."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


class InputError(ValueError):
    """A file of records with two of the same id."""


@dataclass
class Tally:
    """What became of the records of a file, those of earlier runs too.

    Attributes:
        reasons: code → rejected records.
        left: record → why it got no answer; the next run asks again.
    """

    total: int = 0
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    left: dict[str, str] = field(default_factory=dict)

    def count(self, record: Record) -> None:
        """One more finished record."""
        if record["status"] == "ok":
            self.accepted += 1
        else:
            self.reasons[record["reason"]] += 1

    @property
    def done(self) -> int:
        """Finished records."""
        return self.accepted + self.reasons.total()


async def run_step(
    source: Path,
    out: Path,
    work: Work,
    concurrency: int,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Do `work` on every accepted record of `source` that is not in `out` yet, and append what comes out.

    A line that is no record is rejected with its number; the rest is worked on all the same.

    Raises:
        FileNotFoundError: there is no `source`.
        InputError: two records have one id.
        EndpointError: see `tw_plugins.data.stage1.chat`; finished records are in `out`.
    """
    there = finished(out)
    tally = Tally()
    todo: list[Record] = []
    seen: set[str] = set()
    for number, record in numbered(source):
        if isinstance(record, str):
            unreadable = {"id": f"line-{number}", "status": "rejected", "reason": "unreadable_line"}
            todo.append({**unreadable, "detail": f"{source.name}, line {number}: {record}"})
        elif record.get("status", "ok") == "ok":
            todo.append({**record, "id": str(record.get("id", f"line-{number}"))})
    for record in todo:
        if record["id"] in seen:
            raise InputError(f"{source} has two records of the id {record['id']!r}: give each its own")
        seen.add(record["id"])
    tally.total = len(todo)
    for record in todo:
        if record["id"] in there:
            tally.count(there[record["id"]])
    progress(tally)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()  # the next step reads it, whatever comes of this one
    gate = asyncio.Semaphore(concurrency)

    async def one(record: Record) -> None:
        async with gate:
            try:
                done = record if "reason" in record else {**await work(record), "status": "ok"}
            except Rejected as error:
                done = {**record, "status": "rejected", "reason": error.code, "detail": str(error)}
            except Refused as error:
                done = {**record, "status": "rejected", "reason": "refused", "detail": str(error)}
            except Unanswered as error:
                tally.left[record["id"]] = str(error)
                return
        append(done, out)
        tally.count(done)
        progress(tally)

    await all_or_raise([one(record) for record in todo if record["id"] not in there])
    return tally
