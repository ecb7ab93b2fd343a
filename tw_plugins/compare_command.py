"""`threadweaver eval compare`: two folders of records in, Markdown and JSON out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from tw_plugins.atomic import write_text
from tw_plugins.compare import compare_by_kind
from tw_plugins.eval_report import comparison_markdown
from tw_plugins.evaluate_model import record_file
from tw_plugins.records import EvalRecord, read_records
from tw_plugins.scores import EvaluationError
from tw_plugins.units import Mode

__all__ = ["compare_folders"]


def compare_folders(
    own: Path, baseline: Path, mode_a: str, mode_b: str, out: Path | None, json_out: Path | None
) -> str:
    """Compares the records of ``own`` in ``mode_a`` with those of ``baseline`` in ``mode_b``.

    Args:
        out, json_out: files to write; None writes none.

    Returns:
        The Markdown.

    Raises:
        FileNotFoundError: a folder has no records of its mode.
        EvaluationError: a mode that does not exist, an empty file, or two that cannot be compared.
        RecordError: a file of records cannot be read.
    """
    files = _file(own, mode_a, "--mode-a"), _file(baseline, mode_b, "--mode-b")
    comparison = compare_by_kind(*map(_records, files))
    text = comparison_markdown(comparison, *map(str, files))
    if json_out:
        figures = {"a": str(files[0]), "b": str(files[1]), "comparison": comparison}
        write_text(json_out, json.dumps(figures, indent=2) + "\n")
    if out:
        write_text(out, text)
    return text


def _file(folder: Path, mode: str, option: str) -> Path:
    modes: dict[str, Mode] = {name: name for name in get_args(Mode)}
    if mode not in modes:
        raise EvaluationError(f"{option} is {mode!r}: choose one of {', '.join(modes)}")
    return record_file(folder, modes[mode])


def _records(path: Path) -> list[EvalRecord]:
    if not (records := read_records(path)):
        raise EvaluationError(f"{path} has no record: the evaluation has not begun, or was broken off")
    return records
