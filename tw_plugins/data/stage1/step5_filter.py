"""Step 5, no model: what is well-formed and still right becomes the data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from tw_plugins.data.stage1.correct import check_answer
from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.data.stage1.traces import CLOSE, OPEN, column, problem_of
from tw_plugins.evaluation.shapes import Response, shapes_of
from tw_plugins.storage.jsonl import Record
from tw_plugins.storage.parquet import write_parquet
from tw_plugins.trajectory import Block, Outline, Thread, Trajectory, TrajectoryError, render
from tw_plugins.verifiers import VerifierSettings

__all__ = ["check", "statistics", "trajectory_of", "write_sft"]


async def check(
    record: Record,
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> Record:
    """The record with `response`, the parallel trajectory.

    Raises:
        Rejected: with the code of the grammar's first error, `no_answer`, or `wrong_answer` against `answer`;
            `missing_column` when a step before was left out.
    """
    problem_of(record)
    for part in column(record, "parts", "extract"):
        if isinstance(part, dict):
            column(part, "outlines", "outline")
    try:
        response = render(trajectory_of(record))
    except TrajectoryError as error:
        raise Rejected(str(error.errors[0].code), str(error)) from error
    await check_answer(record, response, verifying)
    kept = {name: value for name, value in record.items() if name not in ("parts", "output")}
    return {**kept, "response": response}


def trajectory_of(record: Record) -> Trajectory:
    """Parts of a record as a trajectory, the reasoning in think tags and the output behind it."""
    parts: list[str | Block] = [f"{OPEN}\n"]
    for part in record["parts"]:
        if isinstance(part, str):
            parts.append(f"{part}\n" if part else "")
        else:
            outlines = tuple(Outline(number, text) for number, text in enumerate(part["outlines"], 1))
            threads = tuple(Thread(number, text) for number, text in enumerate(part["threads"], 1))
            parts += [Block(outlines, threads), "\n"]
    return Trajectory((*parts, f"{CLOSE}{record['output']}"))


def write_sft(records: Iterable[Record], path: Path) -> None:
    """The data set as SFT reads it, whole or not at all."""
    rows = [
        {
            "prompt": _messages(record["prompt"]),
            "response": record["response"],
            "extra_info": {"id": record["id"]},
        }
        for record in records
    ]
    write_parquet(rows, path)


def statistics(records: Iterable[Record], count: Callable[[str], int] | None) -> dict[str, Any]:
    """Means of the paper's Table 8, and the lengths that they are of.

    Args:
        count: tokens of a text; without it lengths are characters.
    """
    shapes = shapes_of([Response("filter", record["response"]) for record in records], count)
    measured = {
        name: getattr(shapes, name)
        for name in ("blocks", "threads", "thread_lengths", "outlines", "longest", "total", "acceleration")
    }
    means = {name: fmean(values) if values else None for name, values in measured.items()}
    return {"unit": shapes.unit, "trajectories": shapes.trajectories, "means": means, "values": measured}


def _messages(prompt: Any) -> Any:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
