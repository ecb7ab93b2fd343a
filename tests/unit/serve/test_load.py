"""The load test sees what it is for: answers that are mixed up or lost, a client that starves, a leak."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from tests.load import clients
from tests.load.clients import load
from tests.load.faults import FAULTS
from tests.load.figures import GROWTH, Figures, Memory
from tests.support.real_server import KEY, MODES, RealServer
from tests.support.serving import Talker, joined, running, served
from tw_plugins.rollout import EngineError

QUESTIONS = [f"q{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "FAULT_EVERY_S", 0.01)
    monkeypatch.setattr(clients, "SAMPLE_EVERY_S", 0.01)


def under_load(talker: Talker) -> Figures:
    """Of eight clients, until each fault is made once and each question asked several times."""
    with running(served(talker, api_key=KEY, max_concurrent=128)) as up:
        rollouts = {(question, mode): joined(question) for question in QUESTIONS for mode in MODES}
        process: Any = SimpleNamespace(pid=os.getpid())
        return asyncio.run(load(RealServer(process, up.url, rollouts), clients=8, seconds=0.5, least=160))


def test_a_sound_server_passes_with_every_fault_made() -> None:
    figures = under_load(Talker(pace_s=0.001))
    assert figures.problems == [] and len(figures.seen) == len(FAULTS)
    assert min(figures.answers) > 0
    assert f"{sum(figures.answers)} answers to 8 clients at once" in list(figures.lines())


def test_an_answer_to_another_prompt_is_seen() -> None:
    class Mixed(Talker):
        def _ids(self, prompt: str, stops: set[int]) -> list[int]:
            return super()._ids(prompt.replace("q3", "q4", 1), stops)

    problems = under_load(Mixed(pace_s=0.001)).problems
    assert problems and all("question='q3'" in problem and "q4" in problem for problem in problems)


def test_an_answer_that_is_lost_is_seen() -> None:
    """Several, since one may hit a client that has left."""
    fails: dict[int, Exception] = {number: EngineError("lost") for number in range(20, 40)}
    problems = under_load(Talker(pace_s=0.001, fails=fails)).problems
    assert any(" lost Ask" in problem for problem in problems)


def figures_of(waits: Sequence[Sequence[float]], samples: Sequence[int] = (0, 0, 0)) -> Figures:
    """Of clients that ask one thing after the other and wait so long for each."""
    spans = [list(pairwise([0.0, *accumulate(each)])) for each in waits]
    return Figures(Memory(0, list(samples)), spans)


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        (figures_of([[1.0] * 9, [1.0] * 9, []]), "1 of 3 clients got no answer"),
        (figures_of([[1.0] * 9, [1.0] * 9, [1.0] * 2]), "unfair: a client got 2 answers, the median is 9"),
        (
            figures_of([[1.0] * 30, [*[1.0] * 9, 15.5, *[1.0] * 5], [1.0] * 30]),
            "unfair: while an answer took 15.5 s, each other client got 14.0",
        ),
        (figures_of([[1.0]], [0, GROWTH, 3 * GROWTH]), "the server's memory grew by 32 MiB"),
    ],
)
def test_what_is_not_fair_or_not_flat_is_said(figures: Figures, problem: str) -> None:
    assert list(figures.judge()) == [problem]


def test_a_pause_of_the_whole_machine_is_not_unfair() -> None:
    assert not list(figures_of([[*[1.0] * 9, 20.0, *[1.0] * 9]] * 3).judge())


def test_warm_up_is_no_growth() -> None:
    assert not list(figures_of([[1.0]], [0, 3 * GROWTH, 3 * GROWTH]).judge())
