"""What an evaluation keeps of one trajectory, and files of it: JSON Lines, one record a line."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.rollout import Mode, Rollout
from tw_plugins.storage.files import is_there, opened
from tw_plugins.storage.jsonl import append, drop_unfinished_line, record_in, write

__all__ = [
    "EvalRecord",
    "RecordError",
    "Span",
    "append_record",
    "read_records",
    "salvage_records",
    "sound_records",
    "span_from",
    "spans_of",
    "write_records",
]


logger = logging.getLogger(__name__)


class RecordError(UserError, ValueError):
    """A file of records that cannot be read; the message names the file and the line."""


@dataclass(frozen=True)
class Span:
    """One request on the timeline of a trajectory.

    Args:
        block: 1-based number of the block; None outside a thread.
        thread: 1-based number of the thread; None outside a thread.
        tokens: how many were sampled.
        seconds: when it was asked and answered, since the trajectory began; None where nothing was timed.
    """

    block: int | None
    thread: int | None
    tokens: int
    seconds: tuple[float, float] | None = None


@dataclass(frozen=True)
class EvalRecord:
    """One answered problem.

    Args:
        index: of the problem, the same for every model; several records of one index are several samples.
        kind: of the problem, e.g. "decomposable".
        mode: "parallel" or "autoregressive".
        prompt: the problem as the user asked it.
        text: the joined response, control tokens included.
        correct: the final answer is right in every respect.
        well_formed: the response follows the grammar (no block at all is well-formed).
        total: sampled tokens.
        longest: token latency in tokens (P12).
        blocks: forks that were made.
        threads: over all blocks.
        wall_s: seconds of decoding at batch size 1; None when other problems were decoded at the same time.
        limits_hit: how often each limit was hit, see `tw_plugins.rollout.Rollout`.
        spans: requests in order, threads in outline order.
        unanswered: there is no final answer at all; this and what follows older files do not say.
        score: 0 to 1, of a verifier other than `math`.
        failed: why the verifier had no verdict; the answer counts as wrong then.
        sample: which of the problem's samples this is, from 0.
        answer: the final answer that was found; None where there is none, or it is a program.
        reference: the right answer; None where it is the tests of a program.
    """

    index: int
    kind: str
    mode: Mode
    prompt: str
    text: str
    correct: bool
    well_formed: bool
    total: int
    longest: int
    blocks: int
    threads: int
    wall_s: float | None
    limits_hit: dict[str, int]
    spans: tuple[Span, ...]
    unanswered: bool = False
    score: float | None = None
    failed: str | None = None
    sample: int | None = None
    answer: str | None = None
    reference: Any = None


_FIELDS = {field.name for field in fields(EvalRecord)}
_LATER = {"unanswered", "score", "failed", "sample", "answer", "reference"}


def spans_of(rollout: Rollout, timed: bool = False) -> tuple[Span, ...]:
    """The requests of a rollout, without their ids; with their ``seconds`` if it was ``timed``."""
    return tuple(
        Span(call.block, call.thread, len(call.completion.token_ids), call.seconds if timed else None)
        for call in rollout.calls
    )


def span_from(span: Mapping[str, Any]) -> Span:
    """A span as its file has it.

    Raises:
        KeyError, TypeError, ValueError: it has other keys or values.
    """
    block, thread, tokens, seconds = span["block"], span["thread"], span["tokens"], span.get("seconds")
    numbers = [tokens, *(number for number in (block, thread) if number is not None)]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise TypeError(f"span {dict(span)} has something else than whole numbers")
    if seconds is None:
        return Span(block, thread, tokens)
    asked, answered = map(float, seconds)
    if not 0 <= asked <= answered < math.inf:
        raise ValueError(f"span {dict(span)} was answered before it was asked")
    return Span(block, thread, tokens, (asked, answered))


def write_records(records: Iterable[EvalRecord], path: Path) -> None:
    """Writes a file of records, whole or not at all."""
    write(map(asdict, records), path)


def append_record(record: EvalRecord, path: Path) -> None:
    """Adds one record at the end of a file, so that others can watch it grow."""
    append(asdict(record), path)


def read_records(path: Path) -> list[EvalRecord]:
    """Reads what :func:`write_records` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        RecordError: a line is no whole record; the message names it.
    """
    records = []
    for _, record in _sifted(path):
        if isinstance(record, RecordError):
            raise RecordError(f"{record}. Evaluate again, then only this one is decoded.") from record
        records.append(record)
    return records


def sound_records(path: Path) -> list[EvalRecord]:
    """As :func:`read_records`, but a line that is no whole record is named in the log and left out."""
    return _sound(_sifted(path))


def salvage_records(path: Path) -> list[EvalRecord]:
    """The sound records of a run that may have been broken off; no file has none.

    What follows the last whole line is cut off. A line that is no whole record is named in the log and moved
    to ``<name>.rejected``, so that more records can be appended.
    """
    drop_unfinished_line(path)
    if not is_there(path):
        return []
    sifted = list(_sifted(path))
    sound = _sound(sifted)
    if bad := [line for line, record in sifted if isinstance(record, RecordError)]:
        with path.with_name(f"{path.name}.rejected").open("ab") as rejected:
            rejected.writelines(bad)
        write_records(sound, path)
    return sound


def _sifted(path: Path) -> Iterator[tuple[bytes, EvalRecord | RecordError]]:
    """Each line with the record that it is, or why it is none."""
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield line, _record(line, f"{path}, line {number}")
            except RecordError as error:
                yield line, error


def _sound(sifted: Iterable[tuple[bytes, EvalRecord | RecordError]]) -> list[EvalRecord]:
    records = []
    for _, record in sifted:
        if isinstance(record, RecordError):
            logger.warning("%s: left out", record)
        else:
            records.append(record)
    return records


def _record(line: bytes, where: str) -> EvalRecord:
    data = record_in(line)
    if isinstance(data, str):
        raise RecordError(f"{where}: {data}")
    if set(data) | _LATER != _FIELDS:
        raise RecordError(f"{where}: a record has the fields {sorted(_FIELDS)}, this line has {sorted(data)}")
    if isinstance(hit := data["limits_hit"], dict) and hit.get("abort"):  # of earlier versions
        raise RecordError(f"{where}: the engine broke this answer off, it is not the model's")
    try:
        return EvalRecord(**{**data, "spans": tuple(map(span_from, data["spans"]))})
    except (TypeError, KeyError, ValueError) as error:
        raise RecordError(f"{where}: spans must be a list of block, thread and tokens") from error
