"""Problems of known answers: any file of questions and answers, RL's too, or a benchmark."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tw_plugins.datasets.columns import USUAL, Columns
from tw_plugins.datasets.examples import Example, Wanted, example_of, read_examples, wanted_by
from tw_plugins.datasets.holes import Hole, Holes
from tw_plugins.datasets.messages import Message
from tw_plugins.datasets.questions import Question, questions
from tw_plugins.datasets.settings import INSTRUCTION
from tw_plugins.datasets.template import ChatTemplate
from tw_plugins.evaluation import benchmarks
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.storage.files import is_there
from tw_plugins.verifiers.names import MATH

__all__ = ["EvalProblem", "decomposable_places", "read_problems"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvalProblem:
    """A problem, ready to be decoded.

    Args:
        index: its name among all problems, the same for every model.
        kind: for figures by kind; "all" in data that has none.
        prompt: the last message's text, for people.
        prompt_ids: (P,) what the engine is given.
        reference: the right answer, or whatever the verifier compares with.
        messages: the whole prompt.
        extra: for the verifier, see `tw_plugins.verifiers.Verifier`.
        sample: which of its samples is asked for, from 0.
    """

    index: int
    kind: str
    prompt: str
    prompt_ids: list[int]
    reference: Any
    messages: Sequence[Message] = field(default=(), repr=False, compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    sample: int = 0


def read_problems(
    source: Path | str,
    tokenizer: Any,
    limit: int | None = None,
    instruction: str = INSTRUCTION,
    columns: Columns = USUAL,
    verifier: str = MATH,
) -> list[EvalProblem]:
    """The first ``limit`` problems (None: all), through the tokenizer's chat template.

    Rows that cannot be asked or graded are named in the log and left out; they keep their place.
    ``extra_info.index`` (a whole number; else the row's place counts) and ``extra_info.kind`` are read where
    there are such.

    Args:
        source: see `tw_plugins.datasets.rows.read_rows`, or the name of a benchmark.
        instruction: follows a problem that is no chat, see `tw_plugins.datasets.questions`.
        verifier: which says what a reference may be.

    Raises:
        DataFileError: it cannot be read, lacks a column or has no rows.
        ChatTemplateError: the tokenizer has no chat template.
        EvaluationError: no benchmark of that name, or fewer than ``limit`` problems, or none.
    """
    holes = Holes()
    asked = questions(_examples(source, columns, wanted_by(verifier)), ChatTemplate(tokenizer), instruction)
    problems = list(map(_problem, islice(holes.out_of(asked), limit)))
    for line in holes.lines():
        logger.warning("%s", line)
    if not problems:
        why = "; ".join(holes.lines()) or f"the limit is {limit}"
        raise EvaluationError(f"{source}: no problem to evaluate; {why}. Give a file that has some")
    if limit is not None and limit > len(problems):
        raise EvaluationError(
            f"{source} has {len(problems)} problems, {limit} are asked for: lower --limit, or leave it out "
            "for all"
        )
    return problems


def decomposable_places(problems: Sequence[EvalProblem]) -> list[int]:
    """Places of the decomposable problems, whose clock is read; of all where none is."""
    places = [place for place, problem in enumerate(problems) if problem.kind == "decomposable"]
    return places or list(range(len(problems)))


def _examples(source: Path | str, columns: Columns, wanted: Wanted) -> Iterator[Example | Hole]:
    name = str(source)
    if name in benchmarks.BENCHMARKS:
        for row in benchmarks.rows_of(name):
            yield row if isinstance(row, Hole) else example_of(row, wanted, columns)
        return
    path = Path(source)
    if not is_there(path) and not path.suffix and "/" not in name:
        raise EvaluationError(
            f"{name} is neither a file nor a benchmark: the benchmarks are {', '.join(benchmarks.BENCHMARKS)}"
        )
    yield from read_examples([source], wanted, columns)


def _problem(asked: Question) -> EvalProblem:
    extra = asked.example.columns.get("extra_info")
    extra = extra if isinstance(extra, Mapping) else {}
    return EvalProblem(
        index=_index(extra.get("index"), asked.place),
        kind=str(extra.get("kind") or "all"),
        prompt=asked.messages[-1]["content"],
        prompt_ids=asked.prompt.ids,
        reference=asked.example.target,
        messages=asked.messages,
        extra=asked.example.extra,
    )


def _index(given: Any, place: int) -> int:
    """The index that a row gives itself; names that are no numbers are common, and say nothing of places."""
    try:
        return int(given)
    except (TypeError, ValueError, OverflowError):
        return place
