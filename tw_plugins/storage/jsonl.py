"""Records as JSON Lines that can be gone on with: a finished record is one whole line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.records import append_line, drop_unfinished_line
from tw_plugins.storage.atomic import write_text

__all__ = ["InputError", "Record", "append", "finished", "numbered", "write"]

Record = dict[str, Any]


class InputError(ValueError):
    """A file of records that a step cannot read from or write to."""


def numbered(path: Path) -> Iterator[tuple[int, Record | str]]:
    """Line number (from 1), and the record, or why there is none. Blank lines are passed over.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _record(line)


def _record(line: bytes) -> Record | str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not a whole JSON record ({type(error).__name__})"
    return record if isinstance(record, dict) else f"a {type(record).__name__}, not an object"


def finished(path: Path) -> dict[str, Record]:
    """Finished records by id; what a killed process left of a line is cut off. No file has none.

    Raises:
        InputError: a line is none of a step's own; the file is left as it is.
    """
    if not path.exists():
        return {}
    records: dict[str, Record] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record = _record(line)
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


def append(record: Record, path: Path) -> None:
    """Adds a finished record."""
    append_line(_line(record), path)


def write(records: Iterable[Record], path: Path) -> None:
    """Writes a file of finished records, whole or not at all."""
    write_text(path, "".join(map(_line, records)))


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"  # ASCII: text may hold half of a surrogate pair
