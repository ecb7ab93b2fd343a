"""What a step did in an earlier run, and how much of it still holds for these records and options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tw_plugins.storage.files import is_there, opened
from tw_plugins.storage.jsonl import InputError, Record, drop_unfinished_line, record_in, write

__all__ = ["MADE", "digest", "finished", "keep", "made_from"]

MADE = "made"
"""Column of a finished record: of which record it was made (`from`, a hash), by which step and options."""
FIXED = ("step", "model", "temperature")
RETRIED = frozenset(
    {"unreadable_line", "missing_column", "refused", "answer_cut", "internal_error", "malformed_answer"}
)
"""Reasons that may be mended without a change to the record or the options. A malformed answer was none at
all where the journal no longer has it; where it has, it is the same again and costs nothing."""


def digest(values: Any) -> str:
    """A short name for what can be written as JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def made_from(record: Record, options: Mapping[str, Any]) -> dict[str, Any]:
    """The column `made` of what a step makes of a record."""
    return {"from": digest({name: value for name, value in record.items() if name != MADE}), **options}


def keep(out: Path, todo: Iterable[Record], options: Mapping[str, Any], redo: bool) -> dict[str, Record]:
    """Finished records of `out` that need not be done again, by id; `out` then has these and no others.

    A record is done again when it was made of another one or with other options, or rejected for a reason
    that may be gone. Answers of the model that are still good for it are in the journal.

    Args:
        redo: do all again, because it costs nothing.

    Raises:
        InputError: `out` is of another step, model or temperature, or holds something else.
    """
    there = finished(out)
    for record in there.values():
        before = record.get(MADE, {})
        if changed := [name for name in FIXED if before.get(name) != options.get(name)]:
            was = ", ".join(f"{name} was {before.get(name)!r}, is {options.get(name)!r}" for name in changed)
            raise InputError(f"{out} holds records of other settings: {was}. Give another --out.")
    kept = {
        record["id"]: there[record["id"]]
        for record in todo
        if not redo
        and record["id"] in there
        and there[record["id"]].get("reason") not in RETRIED
        and there[record["id"]][MADE] == made_from(record, options)
    }
    if len(kept) < len(there):
        write(kept.values(), out)
    return kept


def finished(path: Path) -> dict[str, Record]:
    """Finished records by id; what a killed process left of a line is cut off. No file has none.

    Raises:
        InputError: a line is none of a step's own; the file is left as it is.
    """
    if not is_there(path):
        return {}
    records: dict[str, Record] = {}
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            record = record_in(line)
            if not line.endswith(b"\n"):
                break
            if (
                not isinstance(record, dict)
                or not isinstance(record.get("id"), str)
                or "status" not in record
            ):
                raise InputError(f"{path}, line {number} is no record of these steps: give another --out")
            records[record["id"]] = record
    drop_unfinished_line(path)
    return records
