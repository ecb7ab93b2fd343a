"""Data sets of OpenRLHF's commands, read by the one reader.

Seam: `blending_datasets` (`openrlhf/datasets/utils.py`), called by both commands with `--data.…dataset`.
Upstream reads with types that it guesses from the first rows and drops what does not fit; here each row stays
as it was published, as JSON in one column, so that sources of other columns can be blended and nothing is
lost. What is no local file or folder (the hub, scripts, ModelScope) is still upstream's to load.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from tw_plugins.datasets.holes import Hole
from tw_plugins.datasets.rows import Row, is_source_of_files, numbered, read_rows
from tw_plugins.storage.parquet import DataFileError

ROW = "threadweaver_row"


def rows_in(dataset: Iterable[dict[str, Any]], name: str) -> Iterator[Row | Hole]:
    """Rows and holes of what `blending_datasets` gave, or of any other data set, which `name` names."""
    for place, columns in enumerate(dataset):
        if ROW not in columns:
            yield Row(f"{name}, row {place}", columns)
            continue
        where, row, reason, detail = json.loads(columns[ROW])
        yield Row(where, row) if row is not None else Hole(where, reason, detail)


def local(source: str) -> Path | None:
    """The file or folder that a source is, but for scripts; the part behind "@" is a folder inside, where
    the name is not that of a file with "@" in it."""
    name, _, inside = (part.strip() for part in source.partition("@"))
    whole = Path(source).expanduser()
    path = whole if whole.exists() else Path(name).expanduser() / inside
    is_script = path.suffix == ".py" or (path / f"{path.name}.py").exists()
    return path if name and path.exists() and not is_script else None


def shares_of(probabilities: str, datasets: str) -> list[float]:
    """How often each data set is drawn from.

    Raises:
        DataFileError: they are not one number above 0 for each, 1 in all: what is never drawn from would
            never be exhausted.
    """
    names = datasets.split(",")
    try:
        shares = [float(share) for share in probabilities.split(",")]
    except ValueError:
        shares = []
    if len(shares) == len(names) and all(share > 0 for share in shares) and abs(sum(shares) - 1) < 1e-6:
        return [share / sum(shares) for share in shares]
    raise DataFileError(
        f"the shares {probabilities!r:.60} do not fit {len(names)} data sets: give each a number above 0, "
        "with commas, 1 in all"
    )


def _packed(row: Row | Hole) -> dict[str, str]:
    parts = (
        [row.where, row.columns, "", ""]
        if isinstance(row, Row)
        else [row.where, None, row.reason, row.detail]
    )
    return {ROW: json.dumps(parts, default=str)}


def register(utils: Any) -> None:
    """Called once `openrlhf.datasets.utils` is imported."""
    upstream = utils.blending_datasets

    @wraps(upstream)
    def blending_datasets(
        datasets: str,
        probabilities: str | None = None,
        strategy: Any = None,
        seed: int = 42,
        max_count: float = 1e8,
        stopping_strategy: str = "all_exhausted",
        dataset_split: str = "train",
    ) -> Any:
        from datasets import Dataset, concatenate_datasets, interleave_datasets

        shares = None if probabilities is None else shares_of(probabilities, datasets)
        parts = []
        for source in map(str.strip, datasets.split(",")):
            path = local(source)
            if path is None and not is_source_of_files(source):
                loaded = upstream(source, None, strategy, seed, max_count, stopping_strategy, dataset_split)
                rows: Iterable[Row | Hole] = numbered(source, loaded)
            else:
                rows = read_rows(path or source, dataset_split)
            part = Dataset.from_list(list(map(_packed, rows)))
            if not len(part):
                raise DataFileError(f"{source} has no rows: give a file that has some")
            parts.append(part.select(range(int(min(max_count, len(part))))))
        if shares is None:
            return concatenate_datasets(parts)
        return interleave_datasets(
            parts, probabilities=shares, seed=seed, stopping_strategy=stopping_strategy
        )

    utils.blending_datasets = blending_datasets
