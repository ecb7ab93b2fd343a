"""OpenRLHF's data flags, checked before any process starts."""

from __future__ import annotations

from typing import Any

from openrlhf_ext.blending import local
from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.examples import Wanted, examples_of
from tw_plugins.datasets.holes import Holes
from tw_plugins.datasets.rows import is_source_of_files, read_rows
from tw_plugins.storage.parquet import DataFileError


def columns_of(data: Any, answer: str | None = None, response: str | None = None) -> Columns:
    """Those that the flags name; upstream's default, `input`, is the last of the usual names."""
    return Columns(None if data.input_key == "input" else data.input_key, answer, response)


def check_sources(flag: str, datasets: str | None, split: str, wanted: Wanted, columns: Columns) -> None:
    """Every local source is there and has examples; what the hub has is looked at when it is loaded.

    Raises:
        DataFileError: the message begins with the flag.
    """
    for source in filter(None, map(str.strip, (datasets or "").split(","))):
        path = local(source)
        if path is None and not is_source_of_files(source):
            continue
        try:
            holes = Holes()
            rows = read_rows(path or source, split)
            if next(holes.out_of(examples_of(rows, wanted, columns)), None) is None:
                raise DataFileError("; ".join([f"{source} has no example", *holes.lines()]))
        except DataFileError as error:
            raise DataFileError(f"{flag}: {error}") from error
