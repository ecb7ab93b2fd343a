"""Toy problems as records: for SFT, for RL and for evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tw_plugins.toy.digits import KINDS, STANDARD, WARM_UP, Kind, Problem, Sizes, Split, draw, split_of
from tw_plugins.toy.working import solution

DATA_SOURCE = "threadweaver_toy"
Record = dict[str, Any]


@dataclass(frozen=True)
class Mixture:
    """What a data set consists of.

    ``decomposable``: share of decomposable problems. ``p_parallel``: probability that one of those is written
    in threads; nothing else depends on it, so that two mixtures that differ only there have the same problems
    in the same order. The first ``warm_up_rows`` rows are drawn from ``warm_up``, the rest from ``sizes``.

    Raises:
        ValueError: a share outside 0..1.
    """

    sizes: Sizes = STANDARD
    decomposable: float = 0.5
    p_parallel: float = 0.5
    warm_up_rows: int = 0
    warm_up: Sizes = WARM_UP

    def __post_init__(self) -> None:
        for field in ("decomposable", "p_parallel"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"Mixture.{field} is {getattr(self, field)}: it is a share, choose 0..1")


def make_dataset(n: int, seed: int | str, split: Split, mixture: Mixture = Mixture()) -> list[Record]:
    """``n`` records of different problems of one split, the same for the same arguments.

    Raises:
        ValueError: the sizes do not offer that many different problems.
    """
    rng = random.Random(f"threadweaver_toy/{split}/{seed}")
    seen: set[Problem] = set()
    warm_up = min(mixture.warm_up_rows, n)
    plan = [(kind, mixture.warm_up) for kind in _kinds(warm_up, mixture.decomposable, rng)]
    plan += [(kind, mixture.sizes) for kind in _kinds(n - warm_up, mixture.decomposable, rng)]
    records = []
    for index, (kind, sizes) in enumerate(plan):
        problem = _fresh(rng, kind, sizes, split, seen)
        in_threads = rng.random() < mixture.p_parallel and kind == "decomposable"
        records.append(record(problem, index, in_threads))
    return records


def sort_within_batches(records: list[Record], batch_size: int) -> list[Record]:
    """The same batches of ``batch_size`` consecutive records, each from short to long.

    A trainer that reads the file in order and cuts a batch into consecutive micro-batches then pads far less:
    a row in threads is about twice as long as a sequential one.
    """
    batches = (records[i : i + batch_size] for i in range(0, len(records), batch_size))
    return [record for batch in batches for record in sorted(batch, key=_row_length)]


def record(problem: Problem, index: int, in_threads: bool) -> Record:
    """One row: verl's columns, OpenRLHF's ``label`` and ``datasource``, and ``response`` for SFT."""
    return {
        "prompt": [{"role": "user", "content": problem.prompt}],
        "response": solution(problem, in_threads),
        "label": str(problem.answer),
        "datasource": problem.kind,
        "data_source": DATA_SOURCE,
        "ability": "arithmetic",
        "reward_model": {"style": "rule", "ground_truth": str(problem.answer)},
        "extra_info": {"kind": problem.kind, "index": index, "groups": len(problem.groups)},
    }


def _row_length(record: Record) -> int:
    """Roughly the tokens of the training row: a thread is there twice, on the main path and as a branch."""
    text = record["response"]
    before, _, threads = text.partition("<Thread>")
    return len(record["prompt"][0]["content"]) + len(before) + 2 * len(threads)


def _kinds(n: int, decomposable: float, rng: random.Random) -> Iterator[Kind]:
    """``n`` kinds in random order, with the exact share of decomposable ones (rounded)."""
    first = round(n * decomposable)
    kinds = [KINDS[0]] * first + [KINDS[1]] * (n - first)
    rng.shuffle(kinds)
    return iter(kinds)


def _fresh(rng: random.Random, kind: Kind, sizes: Sizes, split: Split, seen: set[Problem]) -> Problem:
    """A problem of the split that is not in ``seen``, to which it is added."""
    for _ in range(10_000):
        problem = draw(rng, kind, sizes)
        if problem not in seen and split_of(problem) == split:
            seen.add(problem)
            return problem
    raise ValueError(f"no unused {kind} problem of the {split} split is left in {sizes}: ask for fewer")
