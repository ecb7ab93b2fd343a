from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.root import ROOT
from tw_plugins import grading
from tw_plugins.grading import GradingError, is_equivalent, is_readable
from tw_plugins.grading.pool import GradingPool
from tw_plugins.grading.worker import build_literal

# A worker that hangs, dies, is late or answers "are the strings equal" on request, without math-verify.
FAKE = """
import json, os, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    said = request["answer"] or request["reference"]
    if said == "hang": time.sleep(1000)
    if said == "die": os._exit(3)
    if said.startswith("late"):
        time.sleep(request["seconds"])
        print(json.dumps({"late": True}), flush=True)
        continue
    print(json.dumps({"equal": request["answer"] == request["reference"]}), flush=True)
"""


@pytest.fixture(autouse=True, scope="module")
def patient() -> Iterator[None]:
    """A busy machine must not fail an honest comparison here."""
    pool = grading._grader.get_pool()
    usual, pool.deadline = pool.deadline, 60.0
    yield
    pool.deadline = usual


@pytest.fixture
def fake() -> Iterator[GradingPool]:
    pool = GradingPool(size=1, deadline=60.0, first=60.0, command=(sys.executable, "-c", FAKE))
    yield pool
    pool.close()


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> GradingPool:
        raise AssertionError("this comparison must not need a worker")

    monkeypatch.setattr(grading._Grader, "get_pool", refuse)


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize(
    ("answer", "reference", "equal"),
    [
        ("7", "7", True),
        ("+7", "7", True),
        ("007", "7", True),
        (" -7 ", "-7", True),
        ("-0", "0", True),
        ("1,234", "1234", True),
        ("1,234,567", "1234567", True),
        ("7", "8", False),
        ("-7", "7", False),
        ("1000000", "1000001", False),
        ("7.0", "7", True),
        ("1,234.50", "1234.5", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"-\dfrac{14}{2}", "-7", True),
        ("1/2", r"\frac{-2}{4}", False),
        ("x+1", "x+1", True),
        ("CAT", r"\text{(cat)}", True),
        ("cat", "act", False),
        ("ACB", "ABC", False),
        (r"\text{CD}", "DC", False),
        ("3+4", "7", False),
        ("10-3", "7", False),
        (r"2\cdot 3+1", "7", False),
        (r"\frac{3+4}{1}", "7", False),
        (r"\mathbf{3+4}", "7", False),
        (r"3 \times 4", "12", False),
        (r"\frac{3}{2}\cdot\frac{1}{3}", r"\frac{1}{2}", False),
        (r"\sum_{k=1}^{7}1", "7", False),
        (r"\prod_{k=3}^4 k", "12", False),
        (r"17 \mod 10", "7", False),
        (r"\binom{7}{1}", "7", False),
        ("x=3+4", "7", False),
        ("6=7=8", "8", False),
        ("7=8", "8", False),
        ("", "", False),
        ("", "7", False),
        ("1" * 2001, "7", False),
    ],
)
def test_without_a_worker(answer: str, reference: str, equal: bool) -> None:
    assert is_equivalent(answer, reference) is equal


@pytest.mark.parametrize(
    ("answer", "reference", "equal"),
    [
        (r"\frac{1}{2}", "0.5", True),
        ("1/2", r"\frac{2}{4}", True),
        ("7.0", "7", True),
        ("x^2-1", "(x-1)(x+1)", True),
        ("x=3", "3", True),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        (r"\{1,2\}", r"\{2,1\}", True),
        (r"\sum_{k=1}^{\infty} 2^{-k}", "1.0", True),
        ("(1,2)", "(2,1)", False),
        (r"\frac{1}{3}", "0.5", False),
        ("x+1", "x+2", False),
        ("12,34", "1234", False),
        ("10^{3}", "1000", True),
        (r"3\times 10^5", "300000", True),
        (r"5 \cdot 10^{-1}", r"\frac{1}{2}", True),
        (r"\frac12", "1/2", True),
        (r"\frac{\sqrt{4}}{4}", r"\frac{1}{2}", True),
        (r"2\pi", r"\pi \cdot 2", True),
        (r"\frac{\sqrt{2}}{2}", r"\sqrt{2}/2", True),
        (r"1+\sqrt{2}", "2.4142136", True),
        (r"1+\sqrt{2}", r"\sqrt{2}+1", True),
        ("0.3333333", r"\frac{1}{3}", True),
        (r"\frac{1}{3} \approx 0.333", r"\frac{1}{3}", True),
        (r"50\%", r"50\%", True),
        ("[1, 2)", r"\left[1,2\right)", True),
        ("(1, -2)", "(1,-2)", True),
        ("3+4=7", "7", True),
        ("x=3+4=7", "7", True),
        ("x = -7", "-7", True),
        (r"\left(-7\right)", "-7", True),
        (r"x=\quad -7", "-7", True),
        (r"\$-7", "-7", True),
        (r"7 \text{ N}\cdot\text{m}", "7", True),
        (r"7 \mathrm{~N} \cdot \mathrm{m}", "7", True),
        ("1{,}000", "1000", True),
        (r"1\frac{1}{2}", r"\frac{3}{2}", True),
        ("C", r"\text{(C)}", True),
        ("ab", "a b", True),
        ("}{", "7", False),
        ("\ud800", "7", False),
    ],
)
def test_by_math_verify(answer: str, reference: str, equal: bool) -> None:
    assert is_equivalent(answer, reference) is equal


def test_too_long_is_counted() -> None:
    before = grading.stats().too_long
    assert not is_equivalent("x" * 2001, "7")
    assert grading.stats().too_long == before + 1


def test_text_is_not_evaluated(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    code = f"__import__('pathlib').Path('{touched}').touch()"
    for text in (code, rf"\text{{{code}}}", f"f({code})", f"$ {code} $"):
        assert not is_equivalent(text, "7")
    assert not touched.exists()


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os')",
        "Integer (7 ).__class__",
        "Integer (2 )**Integer (9 )",
        "f(2 )/Integer (3 )",
        "Symbol ('x' );1",
        "",
    ],
)
def test_only_literals_are_built(code: str) -> None:
    with pytest.raises(ValueError, match="never evaluated"):
        build_literal(code)


def test_literals_are_built() -> None:
    assert build_literal("Integer (12 )") == 12
    assert build_literal("-Float ('0.5' )") == -0.5
    assert build_literal("Symbol ('x' )").name == "x"


@pytest.mark.parametrize("tower", ["9^{9^{9^{9}}}", "10^{10^{10}}"])
def test_expression_that_never_ends_is_cut_off(tower: str) -> None:
    pool = GradingPool(size=1, deadline=1.0)
    try:
        assert not pool.equal(tower, "7")
        assert pool.stats.timeouts + pool.stats.errors == 1
        pool.deadline = 60.0
        assert pool.equal(r"\sqrt{49}", "7")
    finally:
        pool.close()


def test_hang_is_cut_off_and_the_next_answer_is_unaffected(fake: GradingPool) -> None:
    fake.deadline = 0.2
    assert not fake.equal("hang", "hang")
    fake.deadline = 60.0
    assert fake.equal("a", "a")
    assert not fake.equal("a", "b")
    assert (fake.stats.graded, fake.stats.timeouts, fake.stats.crashes) == (3, 1, 0)


def test_killed_worker_is_replaced_without_losing_an_answer(fake: GradingPool) -> None:
    assert fake.equal("a", "a")
    (killed,) = fake.pids()
    os.kill(killed, signal.SIGKILL)
    assert fake.equal("a", "a")
    assert killed not in fake.pids()
    assert fake.stats.crashes == 1


def test_answer_that_kills_its_worker_is_not_equivalent(fake: GradingPool) -> None:
    assert not fake.equal("die", "die")
    assert fake.stats.crashes == 2
    assert fake.equal("a", "a")


def test_an_answer_behind_many_that_never_end_waits_for_the_fast_lane_alone() -> None:
    """Each of 12 holds one of two processes for 0.05 s; one in the slow lane would for a minute."""
    pool = GradingPool(size=2, first=0.05, deadline=60.0, wait=0.01, command=(sys.executable, "-c", FAKE))
    threads = ThreadPoolExecutor(13)
    try:
        late = [threads.submit(pool.equal, f"late {number}", "7") for number in range(12)]
        assert threads.submit(pool.equal, "7", "7").result()
        assert pool.stats.timeouts == 0
        assert not any(future.result() for future in late if not future.running())
        while pool.stats.crowded < 11:  # one has the slow lane
            time.sleep(0.01)
        assert (pool.stats.late, pool.stats.graded) == (12, 1)
    finally:
        pool.close()
        threads.shutdown()


def test_a_copy_of_an_answer_that_was_late_is_not_compared_again(fake: GradingPool) -> None:
    fake.first, fake.deadline = 0.05, 0.1
    with ThreadPoolExecutor(4) as threads:
        assert not any(threads.map(fake.equal, ["late"] * 8, ["7"] * 8))
    assert (fake.stats.late, fake.stats.timeouts, fake.stats.remembered) == (1, 1, 7)
    assert fake.equal("7", "7") and not fake.equal("late", "8")
    assert (fake.stats.late, fake.stats.timeouts) == (2, 2), "another reference is another comparison"
    fake.deadline = 0.2
    assert not fake.equal("late", "7") and fake.stats.timeouts == 3


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_successor_of_a_late_comparison_is_there_at_once() -> None:
    """The process stays, only its child is another."""
    pool = GradingPool(size=1, first=60.0, deadline=60.0)
    try:
        assert pool.equal("x=7", "7")
        (worker,) = pool.pids()
        (child,) = children(worker)
        pool.first = pool.deadline = 0.5
        assert not pool.equal("9^{9^{9^{9}}}", "7")
        pool.first = pool.deadline = 60.0
        assert pool.equal("x=7", "7")
        assert pool.pids() == [worker] and children(worker) != [child]
        assert (pool.stats.timeouts, pool.stats.crashes, pool.stats.graded) == (1, 0, 3)
    finally:
        pool.close()


def test_a_child_that_is_killed_is_replaced_idle_or_not() -> None:
    pool = GradingPool(size=1, first=60.0, deadline=60.0)

    def strike() -> None:
        (child,) = children(worker)
        os.kill(child, signal.SIGKILL)
        while child in children(worker):
            time.sleep(0.01)

    try:
        assert pool.equal("x=7", "7")
        (worker,) = pool.pids()
        strike()
        assert pool.equal("x=8", "8") and pool.stats.crashes == 0
        with ThreadPoolExecutor(1) as threads:
            endless = threads.submit(pool.equal, "9^{9^{9^{9}}}", "7")
            for crashes in (1, 2):
                time.sleep(0.5)  # it computes
                strike()
                while pool.stats.crashes < crashes:
                    time.sleep(0.01)
            assert not endless.result()
        assert pool.equal("x=9", "9") and pool.pids() == [worker]
    finally:
        pool.close()


def test_works_off_the_main_thread() -> None:
    result: list[bool] = []
    thread = threading.Thread(target=lambda: result.append(is_equivalent(r"\sqrt{4}", "2.0")))
    thread.start()
    thread.join()
    assert result == [True]


def test_many_threads_share_few_workers() -> None:
    pool = GradingPool(size=2, deadline=60.0, command=(sys.executable, "-c", FAKE))
    try:
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda i: pool.equal(str(i % 3), "1"), range(40)))
        assert results == [i % 3 == 1 for i in range(40)]
        assert len(pool.pids()) <= 2
    finally:
        pool.close()


def test_close_leaves_no_process(fake: GradingPool) -> None:
    fake.equal("a", "a")
    (pid,) = fake.pids()
    fake.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # a zombie would still answer
    with pytest.raises(GradingError, match="closed"):
        fake.equal("a", "a")


def test_workers_end_with_the_program() -> None:
    program = (
        "from tw_plugins import grading\n"
        "assert grading.is_equivalent('x=1', '1')\n"
        "print(*grading._grader.pool.pids())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    for pid in map(int, done.stdout.split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_worker_that_cannot_start_is_an_error() -> None:
    for program, message in (
        ("raise SystemExit(4)", "status 4"),
        ('print(\'{"error": "no sympy"}\')', "no sympy"),
    ):
        pool = GradingPool(size=1, command=(sys.executable, "-c", program))
        for _ in range(2):  # the slot is free again after a failure
            with pytest.raises(GradingError, match=message):
                pool.equal("a", "b")


def test_forked_child_does_not_use_its_parents_workers() -> None:
    assert is_equivalent(r"\sqrt{4}", "2")
    pool = grading._grader.pool
    assert pool is not None
    pids = pool.pids()
    child = os.fork()
    if child == 0:
        ok = grading._grader.pool is None
        pool.close()
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert pool.pids() == pids
    assert is_equivalent(r"\sqrt{9}", "3")


def test_settings_are_checked() -> None:
    for bad in ({"size": 0}, {"deadline": 0.0}):
        with pytest.raises(ValueError, match="size >= 1 and deadline > 0"):
            GradingPool(**bad)  # type: ignore[arg-type]


def test_a_large_parent_does_not_make_its_workers_swollen() -> None:
    """A trainer's process has many gigabytes; its workers would be replaced after every answer."""
    large = bytearray(b"x" * (300 << 20))
    code = "from tw_plugins.grading.worker import peak_bytes; print(peak_bytes())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0 < peak < len(large) / 2


def test_a_reference_that_is_read_too_late_counts_as_readable_and_is_asked_again(
    fake: GradingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading._Grader, "get_pool", lambda _: fake)
    monkeypatch.setattr(grading, "compare_simply", lambda *_: None)
    fake.first = fake.deadline = 0.1
    assert [is_readable("late"), is_readable("late")] == [True, True]
    assert (fake.stats.timeouts, fake.stats.remembered) == (1, 1)
    assert not is_readable("die")  # no worker lives through it
    assert fake.stats.crashes == 2
