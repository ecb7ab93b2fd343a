"""The file of a clock: JSON Lines, one pair a line, appended as they are timed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.clock.pairs import Decoded, Pair
from tw_plugins.evaluation.records import RecordError
from tw_plugins.storage.jsonl import append, salvaged

__all__ = ["SUMMARY", "append_pair", "clock_file", "salvage_pairs"]

SUMMARY = "summary.json"
"""Its figures, beside it."""


def clock_file(out: Path) -> Path:
    """Where the pairs of a folder are."""
    return out / "clock.jsonl"


def append_pair(pair: Pair, path: Path) -> None:
    """Adds one pair at the end of a file."""
    append(asdict(pair), path)


def salvage_pairs(path: Path) -> list[Pair]:
    """The pairs of a run that may have been broken off; what follows the last whole line is cut off.

    Raises:
        RecordError: a whole line is no pair.
    """
    return [_pair(entry, f"{path}, line {number}") for number, entry in salvaged(path)]


def _pair(entry: Any, where: str) -> Pair:
    """The pair of a record; a text, which says why there is none, has no such keys."""
    try:
        sides = {name: Decoded(**entry[name]) for name in ("own", "baseline")}
        return Pair(**{**entry, **sides})
    except (TypeError, KeyError) as error:
        raise RecordError(
            f"{where}: not a pair of timed answers. Remove the line, its problem is then timed again."
        ) from error
