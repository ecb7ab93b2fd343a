from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tw_plugins import grading
from tw_plugins.grading import GradingError, is_equivalent
from tw_plugins.grading_pool import GradingPool
from tw_plugins.grading_worker import build_literal

# A worker that hangs, dies or answers "are the strings equal" on request, without math-verify.
FAKE = """
import json, os, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["answer"] == "hang": time.sleep(1000)
    if request["answer"] == "die": os._exit(3)
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
    pool = GradingPool(size=1, deadline=60.0, command=(sys.executable, "-c", FAKE))
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
        ("x+1", "x+1", True),
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
        (r"\sum_{k=1}^{\infty} 2^{-k}", "1", True),
        ("(1,2)", "(2,1)", False),
        (r"\frac{1}{3}", "0.5", False),
        ("x+1", "x+2", False),
        ("12,34", "1234", False),
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
        assert pool.equal(r"\frac{14}{2}", "7")
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


def test_works_off_the_main_thread() -> None:
    result: list[bool] = []
    thread = threading.Thread(target=lambda: result.append(is_equivalent(r"\frac{6}{3}", "2.0")))
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
        "assert grading.is_equivalent('1/2', '0.5')\n"
        "print(*grading._grader.pool.pids())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(grading.__file__).parents[1])},
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
    assert is_equivalent("1/2", "0.5")
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
    assert is_equivalent("2/4", "0.5")


def test_settings_are_checked() -> None:
    for bad in ({"size": 0}, {"deadline": 0.0}):
        with pytest.raises(ValueError, match="size >= 1 and deadline > 0"):
            GradingPool(**bad)  # type: ignore[arg-type]


def test_a_large_parent_does_not_make_its_workers_swollen() -> None:
    """A trainer's process has many gigabytes; its workers would be replaced after every answer."""
    large = bytearray(b"x" * (300 << 20))
    code = "from tw_plugins.grading_worker import peak_bytes; print(peak_bytes())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0 < peak < len(large) / 2
