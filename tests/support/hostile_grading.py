"""Hostile answers against this process's own graders."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hostile_answers import ANSWERS, CANARY, TRUTHS
from tw_plugins import grading
from tw_plugins.grading import is_equivalent
from tw_plugins.grading.pool import GradingPool

HONEST = (r"\frac{14}{2}", r"\frac{\sqrt{196}}{2}", "x=7", r"\sqrt{49}")
CASES = [(family, answer) for family, answers in ANSWERS.items() for answer in answers]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GradingPool]:
    """The process's own pool with the deadline that a fast test can wait for, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    pool = GradingPool(size=2, first=1.0, deadline=1.0)
    monkeypatch.setattr(grading._grader, "pool", pool)
    yield pool
    pool.close()


def graded(cases: list[tuple[str, str]], pool: GradingPool) -> list[str]:
    """Grades every case from two threads; which cases are found right."""

    def wrong(number: int) -> bool:
        return is_equivalent(cases[number][1], TRUTHS[number % len(TRUTHS)])

    before = pool.stats
    with ThreadPoolExecutor(2) as threads:
        right = list(threads.map(wrong, range(len(cases))))
    assert pool.stats.graded > before.graded
    assert not Path(CANARY).exists(), "text of an answer was run"
    return [
        f"{family}: {answer[:60]!r}" for (family, answer), found in zip(cases, right, strict=True) if found
    ]


def check_honest(pool: GradingPool) -> None:
    pool.deadline = 60.0  # a busy machine must not fail an honest comparison
    assert [is_equivalent(answer, "7") for answer in HONEST] == [True] * len(HONEST)
    assert not is_equivalent(r"\frac{15}{2}", "7")
