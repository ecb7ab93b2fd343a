"""Which files of a folder may hold trajectories: not what this package writes beside them."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["BESIDE", "SUFFIXES", "files_of"]

SUFFIXES = (".jsonl", ".parquet", ".json")
BESIDE = frozenset(
    [
        *("figures.json", "manifest.json", "rerun.json", "settings.json", "summary.json"),  # eval
        *("clock.jsonl", "report.json", "made.json", "begun.json", "done.json", "threadweaver_start.json"),
        *("metrics.jsonl", "earlier-metrics.jsonl"),  # of a pipeline's trainings
        *("funnel.json", "statistics.json", "usage.json", "model-answers.jsonl", "tasks.json"),  # data
    ]
)
"""What this package writes beside trajectories; they are passed over without a word."""
_MODEL, _CHECKPOINTS = {"config.json", "tokenizer_config.json"}, "checkpoints"
_NUMBERS = re.compile(r"(\d+)")


def files_of(folder: Path) -> list[Path]:
    """Files that may hold trajectories, sub-folders' too, 2.jsonl before 10.jsonl.

    Folders of a model and of checkpoints, and hidden ones, are not gone down into.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        if _MODEL.intersection(names):
            folders.clear()
            continue
        folders[:] = [name for name in folders if name != _CHECKPOINTS and not name.startswith(".")]
        found += [Path(place, name) for name in names if name.endswith(SUFFIXES) and name not in BESIDE]
    return sorted(filter(Path.is_file, found), key=_by_number)


def _by_number(path: Path) -> list[str]:
    return [part.zfill(12) if part.isdigit() else part for part in _NUMBERS.split(str(path))]
