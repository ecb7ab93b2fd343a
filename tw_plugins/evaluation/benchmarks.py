r"""The mathematics benchmarks of the paper's evaluation (P12), by name from the Hugging Face hub.

A local file with the same columns does as well: `threadweaver eval run --data aime24.parquet`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tw_plugins.evaluation.scores import EvaluationError

__all__ = ["BENCHMARKS", "Benchmark", "load", "sampling_of"]


@dataclass(frozen=True)
class Benchmark:
    """Where a benchmark is on the hub.

    Attributes:
        repository, split: of `datasets.load_dataset`.
        problems: how many it has, as a check.
        samples: per problem in the paper, k of its avg@k.
    """

    repository: str
    split: str
    problems: int
    samples: int


BENCHMARKS = {
    "aime24": Benchmark("HuggingFaceH4/aime_2024", "train", 30, 32),
    "aime25": Benchmark("math-ai/aime25", "test", 30, 32),
    "amc23": Benchmark("math-ai/amc23", "test", 40, 8),
    "math500": Benchmark("HuggingFaceH4/MATH-500", "test", 500, 1),
    "minerva_math": Benchmark("math-ai/minervamath", "test", 272, 4),
    "olympiadbench": Benchmark("math-ai/olympiadbench", "test", 674, 8),
}


def load(name: str) -> list[dict[str, Any]]:
    """The rows of a benchmark.

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
        rows = load_dataset(benchmark.repository, split=benchmark.split).to_list()
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


def sampling_of(data: str, samples: int | None, temperature: float | None) -> tuple[int, float]:
    """Samples per problem and temperature, where None is left to the data.

    A benchmark has the paper's k, at temperature 1; one greedy sample is enough for anything else, and for
    a benchmark at temperature 0.
    """
    benchmark = BENCHMARKS.get(data)
    if temperature is None:
        temperature = 1.0 if benchmark else 0.0
    if samples is None:
        samples = benchmark.samples if benchmark and temperature > 0 else 1
    return samples, temperature
