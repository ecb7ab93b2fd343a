"""Files of trajectories: JSON Lines, Parquet, tables logged to Weights & Biases, folders of them.

A line that cannot be read is kept with its number and the reason; the rest is read all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tw_plugins.view.forms import FORMS, UnknownRecord, viewed_from
from tw_plugins.view.viewed import Viewed, ViewError

__all__ = ["Reading", "Unreadable", "read", "read_one"]

_SUFFIXES = (".jsonl", ".parquet", ".json")
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Unreadable:
    """A line that is left out, and why."""

    source: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}: {self.reason}"


@dataclass
class Reading:
    """What files hold: trajectories in order, and the lines that could not be read."""

    sources: list[str] = field(default_factory=list)
    trajectories: list[Viewed] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


def read(paths: Sequence[Path], limit: int | None = None) -> Reading:
    """Every trajectory of the files; a folder stands for the files in it, 2.jsonl before 10.jsonl.

    Args:
        limit: of trajectories, over all files.

    Raises:
        FileNotFoundError: a path that is not there.
        ViewError: a file of which nothing can be read; the message has the first reason and the known forms.
    """
    reading = Reading()
    for path, name in _files(paths):
        if limit is not None and len(reading.trajectories) >= limit:
            break
        _read_file(path, name, reading, limit)
    return reading


def read_one(path: Path, index: int) -> Viewed:
    """The record of this index, counted from 0: line or row ``index + 1``.

    Raises:
        FileNotFoundError: the file is not there.
        ViewError: there is no such record, or it cannot be read.
    """
    total = 0
    for line, record in _records(path):
        total = line
        if line == index + 1:
            try:
                return viewed_from(_decoded(record), path.name, line)
            except UnknownRecord as error:
                raise ViewError(f"{path}, line {line}: {error}. {_known()}") from error
    raise ViewError(f"{path} has no record {index}: the last one is {total - 1}, counted from 0")


def _files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Files and their names: the shortest ends of their paths that tell them apart."""
    found: list[Path] = []
    for path in paths:
        inside = [one for one in path.iterdir() if one.suffix in _SUFFIXES] if path.is_dir() else [path]
        if not inside:
            raise ViewError(f"{path} has no file that ends in {', '.join(_SUFFIXES)}")
        found += sorted(inside, key=_by_number)
    for depth in range(1, 9):
        names = ["/".join(path.parts[-depth:]) for path in found]
        if len(set(names)) == len(names):
            break
    return list(zip(found, names, strict=True))


def _by_number(path: Path) -> list[str | tuple[int, str]]:
    return [part.zfill(12) if part.isdigit() else part for part in _NUMBERS.split(path.name)]


def _read_file(path: Path, name: str, reading: Reading, limit: int | None) -> None:
    before, problems = len(reading.trajectories), len(reading.unreadable)
    for line, record in _records(path):
        try:
            reading.trajectories.append(viewed_from(_decoded(record), name, line))
        except UnknownRecord as error:
            reading.unreadable.append(Unreadable(name, line, str(error)))
        if limit is not None and len(reading.trajectories) >= limit:
            break
    if len(reading.trajectories) == before:
        first = reading.unreadable[problems:]
        reason = f"line {first[0].line}: {first[0].reason}" if first else "it has no record"
        raise ViewError(f"{path}: nothing can be read ({reason}). {_known()}")
    reading.sources.append(name)


def _known() -> str:
    forms = "; ".join(f"{form.name}: {', '.join(form.keys)}" for form in FORMS)
    return f"Known are JSON Lines, Parquet and logged tables with these keys: {forms}"


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Number from 1, and what stands there: bytes of a line, or an object. Blank lines are passed over."""
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    with path.open("rb") as file:  # bytes: only a line feed ends a line, and one bad line spoils no other
        if path.suffix == ".json" and (table := _logged_table(file.read())) is not None:
            yield from enumerate(table, 1)
            return
        file.seek(0)
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


def _decoded(record: Any) -> Any:
    if not isinstance(record, bytes):
        return record
    try:
        return json.loads(record)
    except json.JSONDecodeError as error:
        raise UnknownRecord(f"not a whole JSON record ({error.msg}, column {error.colno})") from error
    except UnicodeDecodeError as error:
        raise UnknownRecord(f"not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise UnknownRecord("nested too deep") from error


def _logged_table(content: bytes) -> list[dict[str, Any]] | None:
    """Rows of a table as Weights & Biases keeps it; None where it is another file."""
    try:
        table = json.loads(content)
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    except (ValueError, KeyError, TypeError):
        return None


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.stat()  # raises FileNotFoundError with the name, as opening any other file does
    try:
        file = pq.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, pa.ArrowInvalid) as error:
        raise ViewError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
