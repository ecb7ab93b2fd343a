"""Right programs pass, wrong ones do not, and none can say of itself that it does."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from tests.support.forgeries import FORGERIES
from tests.support.sandbox import needs_sandbox
from tw_plugins.grading.process import JsonProcess, WorkerDied
from tw_plugins.verifiers.code import judge, program_in, verify
from tw_plugins.verifiers.code.compare import same_text
from tw_plugins.verifiers.code.judge import passes
from tw_plugins.verifiers.code.reference import read_tests

STDIN = {"inputs": ["3\n", "4\n"], "outputs": ["6\n", "8\n"]}
CALLS = {"inputs": [[3], [4]], "outputs": [[6], [8]], "fn_name": "double"}
ASSERTS = ["assert double(3) == 6", "assert abs(double(4) - 8) < 1"]
CHECK = {
    "test": "def check(candidate):\n    assert candidate(3) == 6 and candidate(4) == 8",
    "entry_point": "double",
}
FORMATS = {"stdin": STDIN, "calls": CALLS, "asserts": ASSERTS, "check": CHECK}
DOUBLE = "def double(x):\n    return 2 * x\n"


def judged(program: str, reference: Any, seconds: float = 60.0) -> bool:
    return passes(program, read_tests(reference), seconds)


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("so\n```python\nx = 1\n```\nor\n```\nx = 2\n```\nDone.", "x = 2\n"),
        ("```py\nx = 1\n```</think>no", "x = 1\n"),
        ("```py\nx = 1\n```</think>\n```py\nx = 2\n```", "x = 2\n"),
        ("1.\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y\n"),
        ("x = 1", None),
        ("```python\nx = 1", None),
    ],
)
def test_the_last_block_is_the_program(text: str, program: str | None) -> None:
    assert program_in(text) == program


@pytest.mark.parametrize(
    ("output", "expected", "tolerance", "same"),
    [
        ("1 2 \n3\n\n", "1 2\n3", 0, True),
        ("1 2\n\n3", "1 2\n3", 0, False),
        (" 1", "1", 0, False),
        ("0.30000000000000004", "0.3", 0, False),
        ("a 0.30000000000000004", "a 0.3", 1e-9, True),
        ("a 0.31", "a 0.3", 1e-9, False),
        ("1\n2", "1 2", 1e-9, False),
        ("nan", "1", 1e-9, False),
        ("", "", 0, True),
    ],
)
def test_outputs_are_compared_line_by_line(output: str, expected: str, tolerance: float, same: bool) -> None:
    assert same_text(output, expected, tolerance) is same


@needs_sandbox
@pytest.mark.parametrize("format", FORMATS)
def test_right_and_wrong(format: str) -> None:
    loop = "print(double(int(input())))" if format == "stdin" else ""
    assert judged(DOUBLE + loop, FORMATS[format])
    assert not judged(DOUBLE + loop + "\n1 / 0", FORMATS[format])
    assert not judged(DOUBLE.replace("2 * x", "2 * x if x < 4 else 9") + loop, FORMATS[format])


IDIOMS = """
import os, threading
def main():
    data = os.read(0, os.fstat(0).st_size).split()
    print(gcd(*map(int, data)), pow(2, 10, 1000), file=sys.stdout)
    exit()
sys.setrecursionlimit(10**6)
threading.stack_size(1 << 28)
thread = threading.Thread(target=main)
if __name__ == "__main__":
    thread.start()
"""
LINKED = """
class Node:
    def __init__(self, value): self.value, self.left = value, None
def total(node): return node.value + (total(node.left) if node.left else 0)
def empty(items): items.clear()
def pairs(n): return ((i, {i: {i}}) for i in range(n))
def fails(): raise ValueError("no")
def huge(): return 10 ** 5000
"""


@needs_sandbox
def test_what_programs_and_tests_do() -> None:
    assert judged(IDIOMS, {"inputs": ["12 18\n"], "outputs": ["6 24\n"]})
    solution = (
        "class Solution:\n    def total(self, items: List[int]) -> Tuple[int, int]: return sum(items), 1"
    )
    assert judged(solution, {"fn_name": "total", "inputs": ["[1, 2]"], "outputs": ["[3, 1]"]})
    tests = [
        "root = Node(1); root.left = Node(2); assert total(root) == 3 and root.left.value == 2",
        "items = [1]; empty(items); assert items == []",
        "wanted = [(0, {0: {0}}), (1, {1: {1}})]; assert list(pairs(2)) == wanted and pairs(2) != wanted",
        "try: fails()\nexcept ValueError as error: assert str(error) == 'no'\nelse: assert False",
        "assert huge() == 10 ** 5000 and math.log10(huge()) == 5000",
    ]
    assert judged(LINKED, {"test_list": tests, "test_setup_code": "unused = Node(0)"})


@needs_sandbox
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("attack", FORGERIES)
def test_a_verdict_cannot_be_forged(format: str, attack: str) -> None:
    assert not judged(FORGERIES[attack], FORMATS[format])


@needs_sandbox
def test_changing_what_it_is_given_makes_no_wrong_value_right() -> None:
    program = "def doubles(items):\n    items.clear()\n    return []"
    assert not judged(program, ["items = [3]; assert doubles(items) == [2 * item for item in items]"])


@needs_sandbox
@pytest.mark.parametrize("format", ["stdin", "calls", "check"])
def test_one_that_does_not_end_is_wrong_in_time(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "SECONDS", 1.0)
    start = time.monotonic()
    assert not judged(
        "import time\ndef double(x): time.sleep(600)\nif __name__ == '__main__': double(1)", FORMATS[format]
    )
    assert not judged("while True: pass", FORMATS[format], seconds=3.0)
    assert time.monotonic() - start < 60


@needs_sandbox
def test_a_reply_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tw_plugins.verifiers.code.sandbox.MOST_BYTES", 1 << 20)
    endless = """
import os
while True:
    for fd in range(3, 9):
        try: os.write(fd, b"x" * 65536)
        except OSError: pass
"""
    assert not judged(endless, CALLS)
    flood = "print('{}', flush=True)\nwhile True: print('x' * 65536, end='')"
    process = JsonProcess([sys.executable, "-c", flood], 60, most_bytes=1 << 20)
    with pytest.raises(WorkerDied):
        process.request({}, 60)
    process.kill()
    assert not judged("def double(x): return 'x' * (2 << 20)", CALLS)
    assert not judged("def double(x):\n    for _ in range(10**5): x = [x]\n    return x", CALLS)


@needs_sandbox
@pytest.mark.parametrize(
    ("tests", "why"),
    [(["assert ("], "SyntaxError"), (["assert double(double.__class__)"], "which is no data")],
)
def test_broken_tests_are_no_verdict(tests: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=f"the reference's tests cannot be run: .*{why}"):
        judged(DOUBLE, tests)


def test_an_answer_without_a_program_is_wrong() -> None:
    assert not verify("?", "I do not know", ASSERTS, {})
    with pytest.raises(ValueError, match="has no tests"):
        verify("?", "I do not know", "", {})
