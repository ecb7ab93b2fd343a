"""Data files are looked at before any process starts: they exist, can be read, and have the columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class DataFileError(ValueError):
    """A data file that cannot be used; the message names the file, the reason and what it must hold."""


def as_paths(files: Any) -> list[str]:
    """verl gives one path or a list of them."""
    return [files] if isinstance(files, str) else [str(path) for path in files]


def check_prompt_files(data: Any) -> None:
    """Check `data.train_files` and `data.val_files` of a verl config.

    Raises:
        DataFileError: see `check_columns`; the message begins with the setting.
    """
    needed = [data.get("prompt_key", "prompt"), "data_source", "reward_model"]
    for setting in ("train_files", "val_files"):
        try:
            check_columns(as_paths(data.get(setting) or []), needed)
        except DataFileError as error:
            raise DataFileError(f"data.{setting}: {error}") from error


def check_columns(paths: Iterable[str], needed: Sequence[str]) -> None:
    """Raise unless every local file can be read, has rows, and has the columns `needed`.

    Raises:
        DataFileError: a file that is missing, not Parquet, empty, or lacks a column.
    """
    for path in paths:
        # verl also reads JSON, and remote files it copies first: those it has to check itself.
        if "://" not in path and not path.endswith((".json", ".jsonl")):
            _check_file(Path(path).expanduser(), needed)


def _check_file(path: Path, needed: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataFileError(f"{path} is not a file")
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataFileError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    columns = file.schema_arrow.names
    if missing := [name for name in needed if name not in columns]:
        raise DataFileError(f"{path} lacks the column {', '.join(missing)}; it has {', '.join(columns)}")
    if file.metadata.num_rows == 0:
        raise DataFileError(f"{path} has no rows")
