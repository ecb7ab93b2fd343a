"""`threadweaver eval table`: folders of evaluations in, one row for each data set out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tw_plugins.cli.compare import mode_file, records_in, write_both
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.resume import read_settings
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.table import join, table_markdown

__all__ = ["table_of_folders"]


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
        EvaluationError: see `tw_plugins.cli.compare.mode_file` and `tw_plugins.evaluation.table.join`; or two
            folders of one side have the same data set.
    """
    joined = join(_by_data_set(own, mode_a, "--mode-a"), _by_data_set(baseline, mode_b, "--mode-b"))
    text = table_markdown(joined)
    write_both(text, joined, out, json_out)
    return text


def _by_data_set(folders: Iterable[Path], mode: str, option: str) -> dict[str, list[EvalRecord]]:
    """Records by the benchmark, or by the file's name without its ending."""
    found: dict[str, tuple[Path, list[EvalRecord]]] = {}
    for folder in folders:
        file = mode_file(folder, mode, option)
        name = Path(str(read_settings(folder).get("data"))).stem
        if name in found:
            raise EvaluationError(
                f"{found[name][0]} and {folder} are both evaluations of {name}: give one of each data set"
            )
        found[name] = (folder, records_in(file))
    return {name: records for name, (_, records) in found.items()}
