r"""Benchmarks by name, from the Hugging Face hub: the paper's (P12), and others that peers report.

A local file with the same columns does as well: `threadweaver eval run --data aime24.parquet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.datasets.rows import Row
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.verifiers.names import CHOICE, MATH

__all__ = ["BENCHMARKS", "Benchmark", "load", "rows_of", "sampling_of", "verifier_of"]

Columns = dict[str, Any]


def _as_published(row: Columns, place: int) -> Columns:
    return row


def _without_descriptions(row: Columns, place: int) -> Columns:
    """AMO-Bench's.

    Raises:
        BadRow: what is described, no program compares.
    """
    if row.get("answer_type") == "description":
        raise BadRow("its answer is a description, which takes a judge", f"question {row.get('question_id')}")
    return row


def _with_choices(row: Columns, place: int) -> Columns:
    """GPQA's four answers as (A) to (D), in an order that is the same in every evaluation."""
    try:
        right = row["Correct Answer"].strip()
        answers = [right, *(row[f"Incorrect Answer {number}"].strip() for number in (1, 2, 3))]
        question = row["Question"].strip()
    except (KeyError, AttributeError) as error:
        raise BadRow("lacks GPQA's columns", repr(error)) from error
    Random(place).shuffle(answers)
    listed = "\n".join(
        f"({letter}) {' '.join(answer.split())}" for letter, answer in zip("ABCD", answers, strict=True)
    )
    return {"question": f"{question}\n\n{listed}", "answer": "ABCD"[answers.index(right)]}


@dataclass(frozen=True)
class Benchmark:
    """Where a benchmark is on the hub.

    Attributes:
        repository, split, subset: of `datasets.load_dataset`.
        problems: how many it has, as a check.
        samples: per problem, k of its avg@k: the paper's; of others as many as make some hundred answers.
        verifier: who grades it.
        columns: of a row and its place, the row as it is asked; raises `BadRow` where it cannot be graded.
    """

    repository: str
    split: str
    problems: int
    samples: int
    subset: str | None = None
    verifier: str = MATH
    columns: Callable[[Columns, int], Columns] = _as_published


BENCHMARKS = {
    "aime24": Benchmark("HuggingFaceH4/aime_2024", "train", 30, 32),
    "aime25": Benchmark("math-ai/aime25", "test", 30, 32),
    "amc23": Benchmark("math-ai/amc23", "test", 40, 8),
    "math500": Benchmark("HuggingFaceH4/MATH-500", "test", 500, 1),
    "minerva_math": Benchmark("math-ai/minervamath", "test", 272, 4),
    "olympiadbench": Benchmark("math-ai/olympiadbench", "test", 674, 8),
    "aime26": Benchmark("MathArena/aime_2026", "train", 30, 32),
    "hmmt_feb25": Benchmark("MathArena/hmmt_feb_2025", "train", 30, 32),
    "hmmt_nov25": Benchmark("MathArena/hmmt_nov_2025", "train", 30, 32),
    "hmmt_feb26": Benchmark("MathArena/hmmt_feb_2026", "train", 33, 32),
    "amo_bench": Benchmark("meituan-longcat/AMO-Bench", "test", 50, 32, columns=_without_descriptions),
    "imo_answerbench": Benchmark("Hwilner/imo-answerbench", "train", 400, 4),
    "gsm8k": Benchmark("openai/gsm8k", "test", 1319, 1, "main"),
    "math": Benchmark("DigitalLearningGmbH/MATH-lighteval", "test", 5000, 1),
    "gpqa_diamond": Benchmark(
        "Idavidrein/gpqa", "train", 198, 8, "gpqa_diamond", verifier=CHOICE, columns=_with_choices
    ),
}


def load(name: str) -> list[Columns]:
    """The rows of a benchmark, as published.

    Raises:
        EvaluationError: `datasets` is missing, the hub cannot be reached and nothing is cached, or another
            number of problems came.
    """
    benchmark = BENCHMARKS[name]
    instead = "Or give a local file with the columns problem and answer as --data."
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise EvaluationError(
            f"{name} needs the package datasets: pip install datasets. {instead}"
        ) from error
    try:
        rows = load_dataset(benchmark.repository, benchmark.subset, split=benchmark.split).to_list()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise EvaluationError(
            f"{name} ({benchmark.repository} on the Hugging Face hub) cannot be loaded: {reason}\n{instead}"
        ) from error
    if len(rows) != benchmark.problems:
        raise EvaluationError(
            f"{benchmark.repository} has {len(rows)} problems, {name} has {benchmark.problems}: it is not "
            f"the data set that was meant. {instead}"
        )
    return list(rows)


def rows_of(name: str) -> Iterator[Row | Hole]:
    """The rows of a benchmark as they are asked; raises as :func:`load`."""
    for place, row in enumerate(load(name)):
        where = f"{name}, row {place}"
        try:
            yield Row(where, BENCHMARKS[name].columns(row, place))
        except BadRow as bad:
            yield Hole(where, bad.reason, bad.detail)


def sampling_of(data: str, samples: int | None, temperature: float | None) -> tuple[int, float]:
    """Samples per problem and temperature, where None is left to the data.

    A benchmark has its k, at temperature 1; one greedy sample is enough for anything else, and for a
    benchmark at temperature 0.
    """
    benchmark = BENCHMARKS.get(data)
    if temperature is None:
        temperature = 1.0 if benchmark else 0.0
    if samples is None:
        samples = benchmark.samples if benchmark and temperature > 0 else 1
    return samples, temperature


def verifier_of(data: str, verifier: str | None) -> str:
    """Who grades, where None is left to the data."""
    benchmark = BENCHMARKS.get(data)
    return verifier or (benchmark.verifier if benchmark else MATH)
