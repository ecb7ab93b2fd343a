"""Records as JSON Lines that can be gone on with: a finished record is one whole line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import check_target, is_there, naming, opened

__all__ = [
    "InputError",
    "Record",
    "append",
    "drop_unfinished_line",
    "is_text",
    "numbered",
    "record_in",
    "salvaged",
    "write",
]

Record = dict[str, Any]


class InputError(UserError, ValueError):
    """A file of records that a step cannot read from or write to."""


def numbered(path: Path) -> Iterator[tuple[int, Record | str]]:
    """Line number (from 1), and the record, or why there is none. Blank lines are passed over.

    Raises:
        OSError, FileError: there is no such file.
    """
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, record_in(line)


def salvaged(path: Path) -> list[tuple[int, Record | str]]:
    """As `numbered`, of a file that a process may have been killed at: half a line is cut off.

    No file has no lines.
    """
    drop_unfinished_line(path)
    return list(numbered(path)) if is_there(path) else []


def record_in(line: bytes) -> Record | str:
    """The record of a line, or why it holds none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not a whole JSON record ({getattr(error, 'msg', type(error).__name__)})"
    return record if isinstance(record, dict) else f"a {type(record).__name__}, not an object"


def is_text(record: Record) -> bool:
    """Whether there is no half of a surrogate pair in it, which JSON can hold and no tokenizer takes."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def append(record: Record, path: Path) -> None:
    """Adds a finished record to a file, which is made with its folder where there is none."""
    check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(_line(record))


def write(records: Iterable[Record], path: Path) -> None:
    """Writes a file of finished records, whole or not at all."""
    write_text(path, "".join(map(_line, records)))


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"  # ASCII: text may hold half of a surrogate pair


def drop_unfinished_line(path: Path) -> None:
    """Cut off what follows the last whole line of a file that a process was killed at; no file is fine."""
    if not is_there(path):
        return
    check_target(path)
    with naming(path), path.open("rb+") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
