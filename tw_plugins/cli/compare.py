"""`threadweaver eval compare`: two folders of records in, Markdown and JSON out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from tw_plugins.evaluation.compare import compare_by_kind
from tw_plugins.evaluation.eval_report import comparison_markdown
from tw_plugins.evaluation.records import EvalRecord, sound_records
from tw_plugins.evaluation.run import record_file
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text

__all__ = ["compare_folders", "mode_file", "records_in", "write_both"]


def compare_folders(
    own: Path, baseline: Path, mode_a: str, mode_b: str, out: Path | None, json_out: Path | None
) -> str:
    """Compares the records of ``own`` in ``mode_a`` with those of ``baseline`` in ``mode_b``.

    Args:
        out, json_out: files to write; None writes none.

    Returns:
        The Markdown.

    Raises:
        EvaluationError: a mode that does not exist or that a folder has no records of, or two folders that
            cannot be compared.
    """
    files = mode_file(own, mode_a, "--mode-a"), mode_file(baseline, mode_b, "--mode-b")
    comparison = compare_by_kind(*map(records_in, files))
    text = comparison_markdown(comparison, *map(str, files))
    write_both(text, {"a": str(files[0]), "b": str(files[1]), "comparison": comparison}, out, json_out)
    return text


def write_both(text: str, figures: Any, out: Path | None, json_out: Path | None) -> None:
    """Writes Markdown to ``out`` and figures to ``json_out``, where they are given."""
    if json_out:
        write_text(json_out, json.dumps(figures, indent=2) + "\n")
    if out:
        write_text(out, text)


def mode_file(folder: Path, mode: str, option: str) -> Path:
    """The records of a folder in a mode.

    Args:
        option: that the mode comes from.

    Raises:
        EvaluationError: there is no such mode, or the folder has no records of it.
    """
    modes: dict[str, Mode] = {name: name for name in get_args(Mode)}
    if mode not in modes:
        raise EvaluationError(f"{option} is {mode!r}: choose one of {', '.join(modes)}")
    if (path := record_file(folder, modes[mode])).exists():
        return path
    if others := [name for name in modes if record_file(folder, modes[name]).exists()]:
        raise EvaluationError(f"{folder} has no records of mode {mode}: give {option} {others[0]}")
    raise EvaluationError(
        f"{folder} has no records, neither {' nor '.join(f'{name}.jsonl' for name in modes)}: "
        "give the --out of `threadweaver eval run`"
    )


def records_in(path: Path) -> list[EvalRecord]:
    """The sound records of a file; the log names the others.

    Raises:
        EvaluationError: there is none.
    """
    if not (records := sound_records(path)):
        raise EvaluationError(f"{path} has no record: run the evaluation again, it was broken off at once")
    return records
