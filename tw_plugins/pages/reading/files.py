"""Files of trajectories: JSON Lines, Parquet, tables logged to Weights & Biases, folders of them.

A line that cannot be read is kept with its number and the reason, and so is a file of a folder that has no
trajectory at all; the rest is read all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from tw_plugins.pages.reading.folders import SUFFIXES, files_of
from tw_plugins.pages.reading.forms import FORMS, UnknownRecord, viewed_from
from tw_plugins.pages.reading.trajectory import Viewed, ViewError
from tw_plugins.storage.files import opened

__all__ = ["Reading", "Unreadable", "read", "read_one"]


class _Nothing(ValueError):
    """Why a file gives nothing; the message does not name the file."""


@dataclass(frozen=True)
class Unreadable:
    """What is left out, and why: a line, or a whole file where ``line`` is None."""

    source: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.source}{'' if self.line is None else f', line {self.line}'}: {self.reason}"


@dataclass
class Reading:
    """What files hold: trajectories in order, and what could not be read."""

    sources: list[str] = field(default_factory=list)
    trajectories: list[Viewed] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def left_out(self) -> str:
        """How much could not be read, e.g. "2 lines and 1 file left out"; "" when nothing was."""
        files = sum(one.line is None for one in self.unreadable)
        counted = ((len(self.unreadable) - files, "line"), (files, "file"))
        parts = [f"{count:,} {noun}{'s' * (count > 1)}" for count, noun in counted if count]
        return f"{' and '.join(parts)} left out" if parts else ""


def read(paths: Sequence[Path], limit: int | None = None, of_each: int | None = None) -> Reading:
    """Every trajectory of the files; a folder stands for the files in it, 2.jsonl before 10.jsonl.

    Files of a folder of which nothing can be read are left out.

    Args:
        limit: of trajectories, over all files.
        of_each: at most so many of each file.

    Raises:
        FileNotFoundError: a path that is not there.
        ViewError: a file, or a folder, of which nothing can be read; the message has the first reason and
            the known forms.
    """
    reading = Reading()
    groups = [(path, _files(path)) for path in paths]
    names = _names(list(chain.from_iterable(files for _, files in groups)))
    for _, files in groups:
        reasons = []
        for file in files:
            left = None if limit is None else limit - len(reading.trajectories)
            if left == 0:
                return reading
            most = min((bound for bound in (left, of_each) if bound is not None), default=None)
            try:
                trajectories, unreadable = _read_file(file, names[file], most)
            except _Nothing as error:
                reasons.append(f"{file}: {error}")
                reading.unreadable.append(Unreadable(names[file], None, str(error)))
                continue
            reading.sources.append(names[file])
            reading.trajectories += trajectories
            reading.unreadable += unreadable
        if len(reasons) == len(files):
            more = f" The other files ({len(reasons) - 1}) give nothing either." if len(reasons) > 1 else ""
            raise ViewError(f"{reasons[0]}.{more} {_known()}")
    return reading


def read_one(path: Path, index: int) -> Viewed:
    """The record of this index, counted from 0: line or row ``index + 1``.

    Raises:
        FileNotFoundError: the file is not there.
        ViewError: it is a folder, there is no such record, or it cannot be read.
    """
    if path.is_dir():
        raise ViewError(f"{path} is a folder, a record stands in a file: name one, like {_files(path)[0]}")
    total = 0
    try:
        for line, record in _records(path):
            total = line
            if line == index + 1:
                return viewed_from(_decoded(record), path.name, line)
    except UnknownRecord as error:
        raise ViewError(f"{path}, line {total}: {error}. {_known()}") from error
    except _Nothing as error:
        raise ViewError(f"{path}: {error}") from error
    raise ViewError(f"{path} has no record {index}: the last one is {total - 1}, counted from 0")


def _files(path: Path) -> list[Path]:
    """The file, or the files in a folder."""
    if not path.is_dir():
        return [path]
    if not (inside := files_of(path)):
        raise ViewError(
            f"{path} has no file of trajectories, one that ends in {', '.join(SUFFIXES)} and is not figures, "
            "settings, a model or a checkpoint: give another"
        )
    return inside


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """Names of files: the shortest ends of their paths that tell them apart."""
    for depth in range(1, 9):
        names = {path: "/".join(path.parts[-depth:]) for path in files}
        if len(set(names.values())) == len(names):
            break
    return names


def _read_file(path: Path, name: str, limit: int | None) -> tuple[list[Viewed], list[Unreadable]]:
    trajectories: list[Viewed] = []
    unreadable: list[Unreadable] = []
    for line, record in _records(path):
        try:
            trajectories.append(viewed_from(_decoded(record), name, line))
        except UnknownRecord as error:
            unreadable.append(Unreadable(name, line, str(error)))
        if len(trajectories) == limit:
            break
    if not trajectories:
        first = next(iter(unreadable), None)
        reason = f"line {first.line}: {first.reason}" if first else "it has no record"
        raise _Nothing(f"nothing can be read ({reason})")
    return trajectories, unreadable


def _known() -> str:
    forms = "; ".join(f"{form.name}: {', '.join(form.keys)}" for form in FORMS)
    return f"Known are JSON Lines, Parquet and logged tables with these keys: {forms}"


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Number from 1, and what stands there: bytes of a line, or an object. Blank lines are passed over."""
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    with opened(path) as file:  # bytes: only a line feed ends a line, and one bad line spoils no other
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

    with opened(path) as file:  # Arrow itself opens no file whose name is not UTF-8
        try:
            number = 0
            for batch in pq.ParquetFile(file).iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (OSError, pa.ArrowException) as error:
            raise _Nothing(f"it cannot be read as Parquet ({str(error).splitlines()[0]})") from error
