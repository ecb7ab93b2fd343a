"""Records as JSON Lines that can be gone on with: a finished record is one whole line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tw_plugins.records import drop_unfinished_line

__all__ = ["Record", "append", "finished", "numbered"]

Record = dict[str, Any]


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
    """Finished records by id; what a killed process left of a line is cut off. No file has none."""
    drop_unfinished_line(path)
    if not path.exists():
        return {}
    return {record["id"]: record for _, record in numbered(path) if isinstance(record, dict)}


def append(record: Record, path: Path) -> None:
    """Adds a finished record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
