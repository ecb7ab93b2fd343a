"""Files, folders and data sets of the hub → rows, each with its place; what is no row is a `Hole`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from tw_plugins.datasets.floats import as_written
from tw_plugins.datasets.holes import Hole
from tw_plugins.storage.files import opened
from tw_plugins.storage.parquet import DataFileError

__all__ = ["FORMATS", "Row", "is_source_of_files", "numbered", "read_rows"]

LINES, JSON, PARQUET, ARROW = (".jsonl", ".ndjson"), (".json",), (".parquet", ".pq"), (".arrow",)
TABLES = {".csv": ",", ".tsv": "\t"}
FORMATS = (*LINES, *JSON, *PARQUET, *TABLES, *ARROW)
"""Also with `.gz` behind those that are text."""
LONGEST_FIELD = 1 << 28  # characters of a table's field
SAVED = ("dataset_info.json", "dataset_dict.json")  # `datasets.Dataset.save_to_disk`


class Row(NamedTuple):
    """One row of a source.

    Attributes:
        where: file and row, as people count them: lines from 1, rows of tables from 0.
        columns: by name.
    """

    where: str
    columns: dict[str, Any]


def read_rows(source: str | Path, split: str = "train") -> Iterator[Row | Hole]:
    """All rows of a source, in their order.

    Args:
        source: a file (`.jsonl`, `.json` with lines or an array, either with `.gz`, `.parquet`, `.csv`,
            `.arrow`), a folder of such files or of `save_to_disk`, or the name of a data set on the hub,
            `owner/name`, `owner/name@config` or either with `:split`.
        split: of folders and of the hub.

    Raises:
        DataFileError: there is no such source, or it cannot be read as what it is.
    """
    path = Path(source).expanduser()
    if not str(source).strip():
        raise DataFileError("a file of rows has no name: give one, and no comma without one behind it")
    if path.is_dir():
        yield from _folder(path, split)
    elif path.is_file():
        yield from _file(path)
    elif is_source_of_files(str(source)):
        raise DataFileError(f"{path} is no file or folder: check the path")
    else:
        yield from _hub(str(source), split)


def is_source_of_files(source: str) -> bool:
    """Whether a source can be no name of the hub, `owner/name` with or without `@config` and `:split`."""
    path = Path(source).expanduser()
    return bool(_form(path)) or path.is_absolute() or source.startswith((".", "~")) or source.count("/") != 1


def _form(path: Path) -> str:
    """The suffix that tells how to read a file; "" for none that is known."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""


def _file(path: Path) -> Iterator[Row | Hole]:
    form = _form(path)
    if not form:
        raise DataFileError(f"{path}: rows are read from {', '.join(FORMATS)}. Write it as one of these")
    if form in LINES:
        yield from _lines(path)
    elif form in JSON:
        yield from _json(path)
    elif form in PARQUET:
        yield from _parquet(path)
    elif form in TABLES:
        yield from _table(path, TABLES[form])
    else:
        yield from _arrow(path)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file of text, unpacked.

    Raises:
        DataFileError: they are no whole gzip file, or UTF-16 or UTF-32, as some editors and tables write.
    """
    with opened(path) as file:
        try:
            unpacked = gzip.GzipFile(fileobj=file) if path.suffix.lower() == ".gz" else file
            bytes_ = io.BufferedReader(cast(io.RawIOBase, unpacked))  # for its `peek`
            encoding = json.detect_encoding(bytes_.peek(4)[:4])
            if not encoding.startswith("utf-8"):
                raise DataFileError(f"{path} is {encoding.upper()}: write it as UTF-8")
            yield bytes_
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataFileError(f"{path} is no whole gzip file: {error}. Fetch it again") from error


def _lines(path: Path) -> Iterator[Row | Hole]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _row(f"{path}, line {number}", line)


def _json(path: Path) -> Iterator[Row | Hole]:
    """An array of objects, or lines, which many write under this name too."""
    with _opened(path) as file:
        text = file.read()
    if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        yield from _lines(path)
        return
    try:
        rows = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise DataFileError(f"{path} cannot be read as JSON: {error}. Write it again") from error
    for place, row in enumerate(rows):
        where = f"{path}, row {place}"
        yield Row(where, row) if isinstance(row, dict) else _no_object(where, row)


def _row(where: str, line: bytes) -> Row | Hole:
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_object)
    except TwiceError as error:
        return Hole(where, "a name stands twice", str(error))
    except UnicodeDecodeError:
        return Hole(where, "not UTF-8")
    except (ValueError, RecursionError) as error:
        return Hole(where, "not a whole JSON record", str(getattr(error, "msg", type(error).__name__)))
    return Row(where, row) if isinstance(row, dict) else _no_object(where, row)


class TwiceError(ValueError):
    """A name that stands twice in an object, with two values, of which JSON's readers drop one."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        for name, value in pairs:
            if made[name] != value:
                raise TwiceError(f"{name!r:.60} stands twice in an object")
    return made


def _no_object(where: str, row: Any) -> Hole:
    return Hole(where, "not an object of columns", f"{row!r:.60}")


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = 0
    try:
        with opened(path) as opened_file, pq.ParquetFile(opened_file) as file:
            _check_names(path, file.schema_arrow.names)
            written = as_written(file.schema_arrow)
            for batch in file.iter_batches(batch_size=1024):
                for columns in batch.to_pylist():
                    yield Row(f"{path}, row {place}", written(columns))
                    place += 1
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataFileError(f"{path} cannot be read as Parquet: {reason}. Write the file again.") from error


def _check_names(path: Path, names: list[str]) -> None:
    """
    Raises:
        DataFileError: two columns have one name; a row would have one of them.
    """
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataFileError(f"{path} has two columns {twice[0]!r:.60}: give each a name of its own")


def _folder(path: Path, split: str) -> Iterator[Row | Hole]:
    if any((path / name).exists() for name in SAVED):
        yield from _saved(path, split)
        return
    files = sorted(file for file in path.rglob("*") if file.is_file() and _form(file))
    of_split = [file for file in files if file.name.startswith(split) or split in file.parent.parts]
    if not files:
        raise DataFileError(f"{path} has no file of rows ({', '.join(FORMATS)}): check the path")
    if not of_split and len(files) > 1:
        named = ", ".join(str(file.relative_to(path)) for file in files[:5])
        raise DataFileError(f"{path} has no file of the split {split}: give one of its files, as {named}")
    for file in of_split or files:
        yield from _file(file)


def _saved(path: Path, split: str) -> Iterator[Row]:
    from datasets import Dataset, load_from_disk

    try:
        found = load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise DataFileError(f"{path} cannot be read as a saved data set: {_first_line(error)}") from error
    if not isinstance(found, Dataset):
        if split not in found:
            raise DataFileError(f"{path} has no split {split}; it has {', '.join(found)}: give one of these")
        found = found[split]
    yield from numbered(str(path), found)


def _table(path: Path, separator: str) -> Iterator[Row | Hole]:
    """Text by columns. Not the hub's reader, which guesses types: 12345678901234567 beside an empty field
    becomes 1.2345678901234568e+16 there, 0.10 0.1, and the answer "None" none."""
    with _opened(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        before = csv.field_size_limit(LONGEST_FIELD)
        try:
            names, *rows = csv.reader(lines, delimiter=separator)
        except ValueError:
            return
        except csv.Error as error:
            raise DataFileError(f"{path} cannot be read as a table: {error}. Write it again") from error
        finally:
            csv.field_size_limit(before)
    _check_names(path, names)
    for place, fields in enumerate(row for row in rows if row):
        yield _fields(f"{path}, row {place}", names, fields)


def _fields(where: str, names: list[str], fields: list[str]) -> Row | Hole:
    if len(fields) != len(names):
        return Hole(where, "not as many fields as columns", f"{len(fields)} of {len(names)}")
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        return Hole(where, "not UTF-8")
    return Row(where, dict(zip(names, fields, strict=True)))


def _arrow(path: Path) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        found = load_dataset("arrow", data_files=str(path), split="train")
    except Exception as error:  # its builders raise what their readers do, under names of their own
        raise DataFileError(f"{path} cannot be read as Arrow: {_first_line(error)}") from error
    yield from numbered(str(path), found)


def _hub(source: str, split: str) -> Iterator[Row]:
    from datasets import load_dataset

    name, _, asked = source.partition(":")
    name, _, config = name.partition("@")
    try:
        found = load_dataset(name, config or None, split=asked or split)
    except Exception as error:  # of the network, of the hub and of readers, which share no base
        raise DataFileError(
            f"{source} is no file here, and no data set of the hub that can be loaded: {_first_line(error)}"
        ) from error
    yield from numbered(source, found)


def numbered(name: str, rows: Any) -> Iterator[Row]:
    """The rows of a data set of the library `datasets`, which `name` names."""
    features = getattr(rows, "features", None)
    written = as_written(features.arrow_schema if features else ())
    for place, columns in enumerate(rows):
        yield Row(f"{name}, row {place}", written(columns))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
