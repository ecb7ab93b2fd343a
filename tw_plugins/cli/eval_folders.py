"""`threadweaver eval compare` and `eval table`: folders of records in, Markdown and JSON out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from tw_plugins.evaluation.compare import compare_by_kind
from tw_plugins.evaluation.records import EvalRecord, sound_records
from tw_plugins.evaluation.report import comparison_markdown
from tw_plugins.evaluation.resume import read_settings
from tw_plugins.evaluation.run import record_file
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.table import join, table_markdown
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text

__all__ = ["compare_folders", "table_of_folders"]


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
    files = _mode_file(own, mode_a, "--mode-a"), _mode_file(baseline, mode_b, "--mode-b")
    comparison = compare_by_kind(*map(_records_in, files))
    text = comparison_markdown(comparison, *map(str, files))
    _write_both(text, {"a": str(files[0]), "b": str(files[1]), "comparison": comparison}, out, json_out)
    return text


def table_of_folders(
    own: Iterable[Path],
    baseline: Iterable[Path],
    mode_a: str,
    mode_b: str,
    out: Path | None,
    json_out: Path | None,
) -> str:
    """Joins the records of ``own`` in ``mode_a`` with those of ``baseline`` in ``mode_b``, by data set.

    Args:
        out, json_out: files to write; None writes none.

    Returns:
        The Markdown.

    Raises:
        FileNotFoundError: a folder has no settings.
        EvaluationError: as `compare_folders`, and see `tw_plugins.evaluation.table.join`; or two folders of
            one side have the same data set.
    """
    joined = join(_by_data_set(own, mode_a, "--mode-a"), _by_data_set(baseline, mode_b, "--mode-b"))
    text = table_markdown(joined)
    _write_both(text, joined, out, json_out)
    return text


def _write_both(text: str, figures: Any, out: Path | None, json_out: Path | None) -> None:
    """Writes Markdown to ``out`` and figures to ``json_out``, where they are given."""
    if json_out:
        write_text(json_out, json.dumps(figures, indent=2) + "\n")
    if out:
        write_text(out, text)


def _by_data_set(folders: Iterable[Path], mode: str, option: str) -> dict[str, list[EvalRecord]]:
    """Records by the benchmark, or by the file's name without its ending."""
    found: dict[str, tuple[Path, list[EvalRecord]]] = {}
    for folder in folders:
        file = _mode_file(folder, mode, option)
        name = Path(str(read_settings(folder).get("data"))).stem
        if name in found:
            raise EvaluationError(
                f"{found[name][0]} and {folder} are both evaluations of {name}: give one of each data set"
            )
        found[name] = (folder, _records_in(file))
    return {name: records for name, (_, records) in found.items()}


def _mode_file(folder: Path, mode: str, option: str) -> Path:
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


def _records_in(path: Path) -> list[EvalRecord]:
    """The sound records of a file; the log names the others.

    Raises:
        EvaluationError: there is none.
    """
    if not (records := sound_records(path)):
        raise EvaluationError(f"{path} has no record: run the evaluation again, it was broken off at once")
    return records
