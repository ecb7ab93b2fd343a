"""Parquet files: written whole, and looked at before any process starts: are they there, with the columns?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tw_plugins.errors import UserError
from tw_plugins.storage.atomic import whole

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DataFileError", "as_paths", "check_columns", "write_parquet"]


class DataFileError(UserError, ValueError):
    """A data file that cannot be used; the message names the file, the reason and what it must hold."""


def write_parquet(rows: Iterable[Mapping[str, Any]] | pa.Table, path: Path) -> None:
    """Writes rows in their order, whole or not at all; the columns are the keys of the first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))
    with whole(path) as unfinished, unfinished.open("wb") as file:
        pq.write_table(table, file)


def as_paths(files: Any) -> list[str]:
    """Settings give one path or a list of them."""
    return [files] if isinstance(files, str) else [str(path) for path in files]


def check_columns(paths: Iterable[str], needed: Sequence[str]) -> None:
    """Raise unless every local file can be read, has rows, and has the columns `needed`.

    Raises:
        DataFileError: a file that is missing, not Parquet, empty, or lacks a column.
    """
    for path in paths:
        # Frameworks also read JSON, and copy remote files first: those they have to check themselves.
        if "://" not in path and not path.endswith((".json", ".jsonl")):
            _check_file(Path(os.path.expanduser(path)), needed)


def _check_file(path: Path, needed: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not os.path.isfile(path):  # unlike Path.is_file, False for any name
        raise DataFileError(f"{path} is not a file: check the path in the setting")
    try:
        with path.open("rb") as opened:
            file = pq.ParquetFile(opened)
            columns, rows = file.schema_arrow.names, file.metadata.num_rows
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise DataFileError(f"{path} cannot be read as Parquet: {reason}. Write the file again.") from error
    if missing := [name for name in needed if name not in columns]:
        raise DataFileError(
            f"{path} lacks the column {', '.join(missing)}; it has {', '.join(columns)}: "
            "add it to the file, or name another in the setting"
        )
    if rows == 0:
        raise DataFileError(f"{path} has no rows: give a file that has some")
