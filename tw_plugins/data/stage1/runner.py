"""One step over a file of records: several at a time, each written when it is done, none done twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tw_plugins.data.stage1.endpoint_errors import EndpointError, Refused, Unanswered
from tw_plugins.data.stage1.runs import MADE, keep, made_from
from tw_plugins.data.stage1.sources import records_of
from tw_plugins.errors import UserError
from tw_plugins.grading import GradingError
from tw_plugins.rollout.concurrency import all_or_raise
from tw_plugins.storage.jsonl import Record, append
from tw_plugins.verifiers.names import MATH, VerifierError

__all__ = ["Rejected", "Tally", "Work", "run_step"]

logger = logging.getLogger(__name__)

Work = Callable[[Record], Awaitable[Record]]
"""What a step does with a record: the record that the next step reads."""


class Rejected(UserError, ValueError):
    """A record that goes no further; `code` is one of few, the message says more."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


@dataclass
class Tally:
    """What became of the records of a file, those of earlier runs too.

    Attributes:
        reasons: code → rejected records.
        details: code → what is said of the first of them.
        left: record → why it got no answer; the next run asks again.
    """

    total: int = 0
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def count(self, record: Record) -> None:
        """One more finished record."""
        if record["status"] == "ok":
            self.accepted += 1
        else:
            self.reasons[record["reason"]] += 1
            self.details.setdefault(record["reason"], str(record.get("detail") or ""))

    @property
    def done(self) -> int:
        """Finished records."""
        return self.accepted + self.reasons.total()


async def run_step(
    source: Path,
    out: Path,
    work: Work,
    concurrency: int,
    options: Mapping[str, Any],
    redo: bool,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Do `work` on every accepted record of `source` that `out` does not have yet, and append what comes out.

    A line that is no record is rejected with its number; the rest is worked on all the same.

    Args:
        options: what the work depends on; kept in each record's column `made`.
        redo: do all records again, because it costs nothing.

    Raises:
        FileNotFoundError: there is no `source`.
        InputError: two records have one id, or `out` is of other settings or no file of records.
        EndpointError: see `tw_plugins.data.stage1.endpoint_errors`; finished records are in `out`.
    """
    todo = records_of(source, options.get("verifier", MATH))
    there = keep(out, todo, options, redo)
    tally = Tally(total=len(todo))
    for record in there.values():
        tally.count(record)
    progress(tally)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()  # the next step reads it, whatever comes of this one
    gate = asyncio.Semaphore(concurrency)

    async def one(record: Record) -> None:
        async with gate:
            try:
                done = await _finished(record, work)
            except Unanswered as error:
                tally.left[record["id"]] = str(error)
                return
        append({**done, MADE: made_from(record, options)}, out)
        tally.count(done)
        progress(tally)

    await all_or_raise([one(record) for record in todo if record["id"] not in there])
    return tally


async def _finished(record: Record, work: Work) -> Record:
    """The record with its status: what `work` made of it, or the reason why that was nothing."""
    if record.get("status") == "rejected":
        return record
    try:
        return {**await work(record), "status": "ok"}
    except Rejected as error:
        code, detail = error.code, str(error)
    except Refused as error:
        code, detail = "refused", str(error)
    except (EndpointError, Unanswered, GradingError, VerifierError, OSError):
        raise
    except Exception as error:  # one odd record must not end a run that is paid for
        logger.exception("record %r is rejected: internal_error", record["id"])
        code, detail = "internal_error", f"{type(error).__name__}: {error}"
    return {**record, "status": "rejected", "reason": code, "detail": detail}
