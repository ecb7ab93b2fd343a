"""Problems of known answers: files that RL reads too, benchmarks, and files with a benchmark's columns."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tw_plugins.evaluation import benchmarks
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.storage.files import is_there, opened
from tw_plugins.storage.jsonl import is_text

__all__ = ["EvalProblem", "decomposable_places", "problem_of", "read_messages", "read_problems"]

logger = logging.getLogger(__name__)

_COLUMNS = ("prompt", "reward_model")
_JSON_LINES, _PARQUET = (".jsonl", ".json"), (".parquet", ".pq")


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


def read_problems(
    path: Path | str, tokenizer: Any, limit: int | None = None, instruction: str = benchmarks.INSTRUCTION
) -> list[EvalProblem]:
    """The first ``limit`` problems (None: all), through the tokenizer's chat template.

    Columns: ``prompt`` (chat messages, or a user's text), ``reward_model.ground_truth``, and if present
    ``extra_info.index`` (a whole number; else the row's place in the file counts) and ``extra_info.kind``;
    or ``problem`` and ``answer``, see `tw_plugins.evaluation.benchmarks`.

    Args:
        path: a Parquet or JSON Lines file, or the name of a benchmark. A line of JSON that cannot be read is
            named in the log and left out; it keeps its place.
        instruction: follows a benchmark's problem.

    Raises:
        FileNotFoundError: there is no such file.
        EvaluationError: it cannot be read, lacks a column, has no rows or fewer than ``limit``, or a row has
            no reference answer.
    """
    return [problem_of(row, tokenizer) for row in _first(path, limit, instruction)]


def read_messages(
    path: Path | str, limit: int | None = None, instruction: str = benchmarks.INSTRUCTION
) -> list[list[dict[str, Any]]]:
    """The chat messages of the same problems; raises as `read_problems`."""
    return [row.columns["prompt"] for row in _first(path, limit, instruction)]


def decomposable_places(problems: Sequence[EvalProblem]) -> list[int]:
    """Places of the decomposable problems, whose clock is read; of all where none is."""
    places = [place for place, problem in enumerate(problems) if problem.kind == "decomposable"]
    return places or list(range(len(problems)))


class Row(NamedTuple):
    """One row of a file.

    Attributes:
        place: 0-based, of its line where the file is JSON Lines.
        where: file and row, for messages.
        columns: by name.
    """

    place: int
    where: str
    columns: dict[str, Any]


def _first(path: Path | str, limit: int | None, instruction: str) -> list[Row]:
    rows = _rows(path)
    if not rows or limit == 0:
        raise EvaluationError(f"{path}: no problem to evaluate. Give a file that has rows.")
    if limit is not None and limit > len(rows):
        raise EvaluationError(
            f"{path} has {len(rows)} problems, {limit} are asked for: lower --limit, or leave it out for all"
        )
    return [row._replace(columns=_as_rl(row, instruction)) for row in rows[:limit]]


def problem_of(row: Row, tokenizer: Any) -> EvalProblem:
    """One row with RL's columns as a problem.

    Raises:
        EvaluationError: the prompt or the reference answer is empty, or a column is of another type.
    """
    messages, extra = row.columns["prompt"], _object(row, "extra_info")
    truth, kind = _object(row, "reward_model").get("ground_truth"), extra.get("kind")
    reference = "" if truth is None else str(truth).strip()
    if not reference or not messages:
        raise EvaluationError(
            f"{row.where}: {'reward_model.ground_truth' if messages else 'prompt'} is empty. "
            "Every problem needs chat messages and a reference answer."
        )
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return EvalProblem(
        index=_index(extra.get("index"), row.place),
        kind="all" if kind is None else str(kind),
        prompt=str(messages[-1]["content"]),
        prompt_ids=list(ids),
        reference=reference,
    )


def _index(given: Any, place: int) -> int:
    """The index that a row gives itself; names that are no numbers are common, and say nothing of places."""
    try:
        return int(given)
    except (TypeError, ValueError):
        return place


def _object(row: Row, column: str) -> Mapping[str, Any]:
    value = row.columns.get(column) or {}
    if not isinstance(value, Mapping):
        raise EvaluationError(
            f"{row.where}: {column} is {value!r:.60}, must be an object"
            f"{' with ground_truth' if column == 'reward_model' else ''}: write it as RL reads it"
        )
    return value


def _rows(path: Path | str) -> list[Row]:
    """Rows as they stand."""
    if str(path) in benchmarks.BENCHMARKS:
        return _numbered(path, benchmarks.load(str(path)))
    file = Path(path)
    if not is_there(file):
        if not file.suffix:
            raise EvaluationError(
                f"{path} is neither a file nor a benchmark: the benchmarks are "
                f"{', '.join(benchmarks.BENCHMARKS)}"
            )
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if file.suffix in _JSON_LINES:
        return _lines(file)
    if file.suffix not in _PARQUET:
        raise EvaluationError(
            f"{path}: problems are read from Parquet ({', '.join(_PARQUET)}) and JSON Lines "
            f"({', '.join(_JSON_LINES)}). Write the file as one of these."
        )
    return _numbered(path, _parquet(file))


def _numbered(path: Path | str, rows: Iterable[dict[str, Any]]) -> list[Row]:
    return [Row(place, f"{path}, row {place}", row) for place, row in enumerate(rows)]


def _as_rl(row: Row, instruction: str) -> dict[str, Any]:
    """The columns as RL has them."""
    columns = row.columns
    if all(name in columns for name in _COLUMNS):
        return {**columns, "prompt": _messages(columns["prompt"], row.where)}
    if (chat := benchmarks.as_chat(columns, instruction)) is not None:
        return chat
    names = benchmarks.PROBLEMS, benchmarks.ANSWERS
    there = [name for some in names if (name := next(filter(columns.__contains__, some), ""))]
    if len(there) == len(names):
        empty = next((name for name in there if columns[name] in (None, "", [])), there[0])
        raise EvaluationError(
            f"{row.where}: {empty} is empty. Every problem needs a text and a reference answer."
        )
    problem, answer = (" or ".join(some) for some in names)
    lacks = ", ".join(name for name in _COLUMNS if name not in columns)
    raise EvaluationError(
        f"{row.where} lacks the column {lacks}; it has {', '.join(columns)}. "
        f"Write it with prompt (chat messages) and reward_model (with ground_truth), or with {problem} and "
        f"{answer}."
    )


def _messages(prompt: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}] if prompt.strip() else []
    messages = prompt or []
    if not isinstance(messages, list) or not all(
        isinstance(message, Mapping) and "content" in message for message in messages
    ):
        raise EvaluationError(
            f"{where}: prompt must be chat messages (each with role and content) or a text, it is "
            f"{prompt!r:.60}"
        )
    return messages


def _lines(path: Path) -> list[Row]:
    rows = []
    with opened(path) as lines:
        for place, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                columns = json.loads(line)
            except (ValueError, RecursionError):
                columns = None
            if isinstance(columns, dict) and not is_text(columns):
                logger.warning("%s, line %d has half of a surrogate pair: left out", path, place + 1)
            elif isinstance(columns, dict):
                rows.append(Row(place, f"{path}, line {place + 1}", columns))
            else:
                logger.warning("%s, line %d is not a whole JSON record: left out", path, place + 1)
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path) as file:  # Arrow itself opens no file whose name is not UTF-8
        try:
            rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise EvaluationError(
                f"{path} cannot be read as Parquet: {reason}. Write the file again."
            ) from error
    return rows
