"""Problems of known answers: files that RL reads too, benchmarks, and files with a benchmark's columns."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tw_plugins import benchmarks
from tw_plugins.scores import EvaluationError

__all__ = ["EvalProblem", "problem_of", "read_messages", "read_problems"]

logger = logging.getLogger(__name__)

_COLUMNS = ("prompt", "reward_model")


@dataclass(frozen=True)
class EvalProblem:
    """A problem, ready to be decoded.

    Args:
        index: its name among all problems, the same for every model.
        kind: for figures by kind; "all" in data that has none.
        prompt: the last message's text, for people.
        prompt_ids: (P,) what the engine is given.
        reference: the right answer.
    """

    index: int
    kind: str
    prompt: str
    prompt_ids: list[int]
    reference: str


def read_problems(path: Path | str, tokenizer: Any, limit: int | None = None) -> list[EvalProblem]:
    """The first ``limit`` problems (None: all), through the tokenizer's chat template.

    Columns: ``prompt`` (chat messages), ``reward_model.ground_truth``, and if present
    ``extra_info.index`` and ``extra_info.kind``; or ``problem`` and ``answer``, see `tw_plugins.benchmarks`.

    Args:
        path: a Parquet or JSON Lines file, or the name of a benchmark. A line of JSON that cannot be read is
            named in the log and left out.

    Raises:
        FileNotFoundError: there is no such file.
        EvaluationError: it cannot be read, lacks a column, has no rows or fewer than ``limit``, or a row has
            no reference answer.
    """
    rows = _first(path, limit)
    return [problem_of(row, place, tokenizer, f"{path}, row {place}") for place, row in enumerate(rows)]


def read_messages(path: Path | str, limit: int | None = None) -> list[list[dict[str, Any]]]:
    """The chat messages of the same problems; raises as `read_problems`."""
    return [row["prompt"] for row in _first(path, limit)]


def _first(path: Path | str, limit: int | None) -> list[dict[str, Any]]:
    rows = _rows(path)
    if not rows or limit == 0:
        raise EvaluationError(f"{path}: no problem to evaluate. Give a file that has rows.")
    if limit is not None and limit > len(rows):
        raise EvaluationError(
            f"{path} has {len(rows)} problems, {limit} are asked for: lower --limit, or leave it out for all"
        )
    return rows[:limit]


def problem_of(row: Mapping[str, Any], place: int, tokenizer: Any, where: str) -> EvalProblem:
    """One row as a problem; ``place`` is its index where it has none.

    Raises:
        EvaluationError: the prompt or the reference answer is empty.
    """
    messages, index = row["prompt"], (row.get("extra_info") or {}).get("index")
    kind = (row.get("extra_info") or {}).get("kind")
    truth = (row["reward_model"] or {}).get("ground_truth")
    reference = "" if truth is None else str(truth).strip()
    if not reference or not messages:
        raise EvaluationError(
            f"{where}: {'reward_model.ground_truth' if messages else 'prompt'} is empty. "
            "Every problem needs chat messages and a reference answer."
        )
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return EvalProblem(
        index=place if index is None else int(index),
        kind="all" if kind is None else str(kind),
        prompt=str(messages[-1]["content"]),
        prompt_ids=list(ids),
        reference=reference,
    )


def _rows(path: Path | str) -> list[dict[str, Any]]:
    """Rows as RL has them."""
    if str(path) in benchmarks.BENCHMARKS:
        rows = benchmarks.load(str(path))
    elif not Path(path).exists():
        if not Path(path).suffix:
            raise EvaluationError(
                f"{path} is neither a file nor a benchmark: the benchmarks are "
                f"{', '.join(benchmarks.BENCHMARKS)}"
            )
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    else:
        rows = _lines(Path(path)) if Path(path).suffix in (".jsonl", ".json") else _parquet(Path(path))
    return [_row(row, path) for row in rows]


def _row(row: dict[str, Any], path: Path | str) -> dict[str, Any]:
    if all(name in row for name in _COLUMNS):
        return row
    if (chat := benchmarks.as_chat(row)) is not None:
        return chat
    problem, answer = (" or ".join(names) for names in (benchmarks.PROBLEMS, benchmarks.ANSWERS))
    lacks = ", ".join(name for name in _COLUMNS if name not in row)
    raise EvaluationError(
        f"{path} lacks the column {lacks}; it has {', '.join(row)}. "
        f"Write it with prompt (chat messages) and reward_model (with ground_truth), or with {problem} and "
        f"{answer}."
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError):
                logger.warning("%s, line %d is not a whole JSON record: left out", path, number)
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        raise EvaluationError(f"{path} cannot be read as Parquet: {reason}. Write the file again.") from error
    return rows
