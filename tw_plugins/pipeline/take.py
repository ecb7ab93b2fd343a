"""`python -m tw_plugins.pipeline.take FOLDER ROWS`: so many of the samples that self-training kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tw_plugins.data.selftrain import FUNNEL, SFT
from tw_plugins.errors import UserError, in_one_line
from tw_plugins.storage.files import read_text
from tw_plugins.storage.parquet import write_parquet

__all__ = ["TAKEN", "TooFewSamples", "funnel", "take"]

TAKEN = "taken.parquet"


class TooFewSamples(UserError, ValueError):
    """Fewer were kept than SFT takes."""


def take(folder: Path, rows: int) -> Path:
    """A Parquet file of the first so many kept samples.

    Raises:
        TooFewSamples: there are fewer.
    """
    import pyarrow.parquet as pq

    kept = funnel(folder)["kept"]
    if kept < rows:
        raise TooFewSamples(
            f"self-training kept {kept} samples, SFT on them takes {rows} (see {folder / FUNNEL}): the SFT "
            "model answers too few prompts right. Leave selftrain out, or take fewer."
        )
    taken = folder / TAKEN
    write_parquet(pq.read_table(folder / SFT).slice(0, rows), taken)
    return taken


def funnel(folder: Path) -> dict[str, Any]:
    """How many samples were left after each step, see `tw_plugins.data.selftrain.Funnel`."""
    return dict(json.loads(read_text(folder / FUNNEL)))


if __name__ == "__main__":
    with in_one_line():
        take(Path(sys.argv[1]), int(sys.argv[2]))
