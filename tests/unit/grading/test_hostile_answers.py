"""Nothing a model writes stops, fools or takes over the grader; honest answers beside it are unaffected."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hostile_answers import ANSWERS, RESPONSES
from tests.support.hostile_grading import CASES, check_honest, graded
from tw_plugins.grading import is_equivalent
from tw_plugins.grading.boxed import extract_answer
from tw_plugins.grading.pool import GradingPool
from tw_plugins.grading.worker import MEMORY_BYTES

ENDLESS = ("exponents", "factorials", "sums", "nesting")  # families that mostly run into the deadline
QUICK = [
    (family, answer)
    for family, answers in ANSWERS.items()
    for answer in answers[: 1 if family in ENDLESS else 10]
    if not 400 < len(answer) <= 2000  # parsing takes a second
]


def test_the_corpus_is_large_and_has_no_case_twice() -> None:
    assert len(set(CASES)) == len(CASES) and len(CASES) + len(RESPONSES) >= 150


def test_hostile_answers_are_wrong_and_honest_ones_right(pool: GradingPool) -> None:
    assert graded(QUICK, pool) == []
    assert pool.stats.timeouts >= 2, "the answers that never end are cut off"
    check_honest(pool)


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.timeout(60)
def test_hostile_responses_have_no_right_answer(name: str, pool: GradingPool) -> None:
    """Read in one pass: none takes more than a moment."""
    answer = extract_answer(RESPONSES[name])
    assert answer is None or not is_equivalent(answer, "7")


@pytest.mark.parametrize(
    "answer", [r"\infty^{\infty}", r"2^{\infty}", r"\frac{1}{0}", r"\infty-\infty", "0^{-1}"]
)
def test_an_infinity_equals_no_number(answer: str, pool: GradingPool) -> None:
    """math-verify said yes now and then, depending on what it had compared before."""
    pool.deadline = 60.0
    assert not any(is_equivalent(answer, truth) for truth in ("3", r"\frac{1}{2}", "0.5", r"\sqrt{2}", "7"))


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"(-\infty,1)", r"(-\infty, 1)"),
        (r"+\infty", r"\infty"),
        (r"[2, \infty)", r"x \ge 2"),
    ],
)
def test_honest_infinities_still_count(answer: str, reference: str, pool: GradingPool) -> None:
    pool.deadline = 60.0
    assert is_equivalent(answer, reference)


def kill_when_busy(pool: GradingPool, times: int) -> threading.Thread:
    """SIGKILL from outside, as by the kernel's OOM killer, to each of the next workers while it compares."""

    def strike() -> None:
        killed: set[int] = set()
        while len(killed) < times:
            for pid in set(pool.pids()) - killed:
                time.sleep(0.5)  # it has started and computes
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.02)

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    return thread


SLEEPER = """
import json, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["answer"] == "slow": time.sleep(1.5)
    swollen = request["answer"] == "large"
    print(json.dumps({"equal": request["answer"] == request["reference"], "swollen": swollen}), flush=True)
"""


@pytest.fixture
def sleeper() -> Iterator[GradingPool]:
    pool = GradingPool(size=1, deadline=60.0, first=60.0, command=(sys.executable, "-c", SLEEPER))
    yield pool
    pool.close()


def test_a_worker_killed_in_a_comparison_loses_no_answer(sleeper: GradingPool) -> None:
    strike = kill_when_busy(sleeper, times=1)
    assert sleeper.equal("slow", "slow")
    strike.join()
    assert (sleeper.stats.crashes, sleeper.stats.graded) == (1, 1)


def test_an_answer_whose_workers_are_killed_is_wrong(sleeper: GradingPool) -> None:
    strike = kill_when_busy(sleeper, times=2)
    assert not sleeper.equal("slow", "slow")
    strike.join()
    assert (sleeper.stats.crashes, sleeper.stats.graded) == (2, 0)
    assert sleeper.equal("next", "next")


def test_a_swollen_worker_is_replaced(sleeper: GradingPool) -> None:
    assert sleeper.equal("large", "large")
    assert (sleeper.stats.swollen, sleeper.pids()) == (1, [])
    assert sleeper.equal("next", "next")


def test_a_worker_cannot_take_all_memory(pool: GradingPool) -> None:
    """Whether it runs out of memory or of time, it is never above the limit."""
    pool.deadline = 60.0
    assert is_equivalent(r"\sqrt{49}", "7")
    for pid in pool.pids():
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert str(MEMORY_BYTES) in next(line for line in limits.splitlines() if "address space" in line)


def test_off_the_main_thread(pool: GradingPool) -> None:
    """No signal handler is needed here: a deadline is kept in any thread."""
    pool.deadline = 1.0
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(is_equivalent("9^{9^{9^{9}}}", "7")))
    thread.start()
    thread.join()
    assert results == [False] and pool.stats.timeouts == 1
    check_honest(pool)
