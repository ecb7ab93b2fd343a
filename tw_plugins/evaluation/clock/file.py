"""The file of a clock: JSON Lines, one pair a line, appended as they are timed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.clock.pairs import Decoded, Pair
from tw_plugins.evaluation.records import RecordError
from tw_plugins.storage.jsonl import append_line, drop_unfinished_line

__all__ = ["append_pair", "clock_file", "salvage_pairs"]


def clock_file(out: Path) -> Path:
    """Where the pairs of a folder are."""
    return out / "clock.jsonl"


def append_pair(pair: Pair, path: Path) -> None:
    """Adds one pair at the end of a file."""
    append_line(json.dumps(asdict(pair)) + "\n", path)


def salvage_pairs(path: Path) -> list[Pair]:
    """The pairs of a run that may have been broken off; what follows the last whole line is cut off.

    Raises:
        RecordError: a whole line is no pair.
    """
    drop_unfinished_line(path)
    if not path.exists():
        return []
    with path.open("rb") as lines:
        return [_pair(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _pair(line: bytes, where: str) -> Pair:
    try:
        data: dict[str, Any] = json.loads(line)
        sides = {name: Decoded(**data[name]) for name in ("own", "baseline")}
        return Pair(**{**data, **sides})
    except (ValueError, TypeError, KeyError) as error:
        raise RecordError(
            f"{where}: not a pair of timed answers. Remove the line, its problem is then timed again."
        ) from error
