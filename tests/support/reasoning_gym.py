"""A stand-in for reasoning-gym, an optional package: its functions that are called, and tasks of our own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from random import Random
from types import ModuleType
from typing import Any

import pytest

Entry = dict[str, Any]


def _entry(question: str, answer: str | None, **metadata: Any) -> Entry:
    return {"question": question, "answer": answer, "metadata": metadata}


def _sums(draw: Random) -> Entry:
    a, b = draw.randrange(1000), draw.randrange(1000)
    return _entry(f"Calculate {a} + {b}.", str(a + b), terms=[a, b])


def _words(draw: Random) -> Entry:
    word = "".join(draw.choices("abcdefgh", k=6))
    return _entry(f"Spell {word} backward.", word[::-1], word=word)


def _grids(draw: Random) -> Entry:
    rows = ["".join(draw.choices("01", k=5)) for _ in range(3)]
    return _entry("Turn round:\n" + "\n".join(rows), "\n".join(row[::-1] for row in rows))


def _paths(draw: Random) -> Entry:
    return _entry(f"Colour graph {draw.randrange(10**6)}.", None)


def _lists(draw: Random) -> Entry:
    return _entry(f"Say {draw.randrange(10**6)} twice.", "a; b")


def _essays(draw: Random) -> Entry:
    return _entry(f"Repeat {draw.randrange(10**6)}.", "words " * 8)


def _coins(draw: Random) -> Entry:
    return _entry(f"Coin {draw.randrange(5)}: heads?", "Yes")


def _shares(draw: Random) -> Entry:
    share = Fraction(draw.randrange(1, 1000), 1000)
    return _entry(f"What is {share} of 1000?", str(share * 1000), share=share)


def _pairs(draw: Random) -> Entry:
    return _entry(f"Pair {draw.randrange(10**6)}.", "1", pair=(1, 2))


TASKS: dict[str, Callable[[Random], Entry]] = {
    "chain_sum": _sums, "spell_backward": _words, "rotate": _grids, "graph_color": _paths, "lists": _lists,
    "essays": _essays, "coin_flip": _coins, "shares": _shares, "pairs": _pairs,
}  # fmt: skip


class Dataset:
    def __init__(self, task: str, seed: int, size: int) -> None:
        self.task, self.seed, self.size = task, seed, size

    def __getitem__(self, place: int) -> Entry:
        assert place < self.size
        return TASKS[self.task](Random(self.seed + place))


def score_answer(answer: str | None, entry: Entry) -> float:
    pair = entry["metadata"].get("pair", ())
    return float(answer == entry["answer"] and isinstance(pair, tuple))


@pytest.fixture
def reasoning_gym(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    package, factory = ModuleType("reasoning_gym"), ModuleType("reasoning_gym.factory")
    package.create_dataset = factory.create_dataset = Dataset  # type: ignore[attr-defined]
    package.get_score_answer_fn = lambda task: score_answer  # type: ignore[attr-defined]
    factory.DATASETS = {**TASKS, "composite": None}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "reasoning_gym", package)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", factory)
    monkeypatch.setattr("tw_plugins.data.tasks.files.version", lambda name: "0.1")
    return package
