"""Hand-over problems as the files that a run starts from: of SFT, of RL and of evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.smollm2.handovers import KINDS, Kind, Problem, Split, draw, split_of
from recipes.smollm2.wording import question, solution
from tw_plugins.storage.parquet import write_parquet

__all__ = ["FULL", "SMOKE", "Sizes", "make_dataset", "write_data"]

DATA_SOURCE = "threadweaver_handovers"
Record = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How many of everything.

    Attributes:
        sft_rows, rl_prompts: of one run.
        eval_per_kind: held-out problems of each kind.
        sft_decomposable, rl_decomposable: share of problems that can be forked; in RL only they teach when.
        p_parallel: share of SFT's decomposable problems that are solved in threads.
    """

    sft_rows: int
    rl_prompts: int
    eval_per_kind: int
    sft_decomposable: float = 0.6
    rl_decomposable: float = 0.6
    p_parallel: float = 1.0


FULL = Sizes(sft_rows=256, rl_prompts=40, eval_per_kind=50)
SMOKE = Sizes(sft_rows=4, rl_prompts=2, eval_per_kind=2)


def make_dataset(
    n: int, seed: int | str, split: Split, decomposable: float, p_parallel: float = 0.0
) -> list[Record]:
    """``n`` records of different problems of one split, the same for the same arguments.

    Args:
        decomposable: share of problems that can be forked, exact but for rounding, in random order.
        p_parallel: how probably one of those is solved in threads; nothing else depends on it.
    """
    rng = random.Random(f"{DATA_SOURCE}/{split}/{seed}")
    kinds = [KINDS[0]] * round(n * decomposable)
    kinds += [KINDS[1]] * (n - len(kinds))
    rng.shuffle(kinds)
    seen: set[Problem] = set()
    records = []
    for index, kind in enumerate(kinds):
        problem = _fresh(rng, kind, split, seen)
        in_threads = rng.random() < p_parallel and kind == "decomposable"
        records.append(_record(problem, index, in_threads))
    return records


def write_data(folder: Path, seed: int, sizes: Sizes = FULL) -> dict[str, Path]:
    """Write the data sets; returns their paths by name.

    ``sft`` (threads mixed in), ``sft_sequential`` (the same problems without threads), ``rl`` (other training
    problems), ``eval`` (held out; the same for every seed, half of each kind).
    """
    decomposable = sizes.sft_decomposable
    data = {
        "sft": make_dataset(sizes.sft_rows, seed, "train", decomposable, sizes.p_parallel),
        "sft_sequential": make_dataset(sizes.sft_rows, seed, "train", decomposable),
        "rl": make_dataset(sizes.rl_prompts, f"{seed}/rl", "train", sizes.rl_decomposable),
        "eval": make_dataset(2 * sizes.eval_per_kind, "eval", "test", 0.5),
    }
    return {name: _written(records, folder / f"{name}.parquet") for name, records in data.items()}


def _written(records: Iterable[Record], path: Path) -> Path:
    write_parquet(records, path)
    return path


def _record(problem: Problem, index: int, in_threads: bool) -> Record:
    """One row: verl's columns, OpenRLHF's ``label`` and ``datasource``, and ``response`` for SFT."""
    return {
        "prompt": [{"role": "user", "content": question(problem)}],
        "response": solution(problem, in_threads),
        "label": problem.answer,
        "datasource": problem.kind,
        "data_source": DATA_SOURCE,
        "ability": "planning",
        "reward_model": {"style": "rule", "ground_truth": problem.answer},
        "extra_info": {"kind": problem.kind, "index": index, "groups": len(problem.things)},
    }


def _fresh(rng: random.Random, kind: Kind, split: Split, seen: set[Problem]) -> Problem:
    """A problem of the split that is not in ``seen``, to which it is added."""
    while True:
        problem = draw(rng, kind)
        if problem not in seen and split_of(problem) == split:
            seen.add(problem)
            return problem
