"""Programs in the sandbox: how many are judged per second, and how long one waits for its verdict."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tw_plugins.bench.timing import Spread
from tw_plugins.verifiers.code import verify

__all__ = ["KINDS", "ProgramFigures", "bench_programs"]

ANSWER = """```python
def double(x):
    return 2 * x
if __name__ == "__main__":
    print(double(int(input())))
```
"""
KINDS = {
    "10 inputs": {"inputs": [f"{n}\n" for n in range(10)], "outputs": [f"{2 * n}\n" for n in range(10)]},
    "10 calls": {
        "inputs": [[n] for n in range(10)], "outputs": [[2 * n] for n in range(10)], "fn_name": "double",
    },
    "10 asserts": [f"assert double({n}) == {2 * n}" for n in range(10)],
}  # fmt: skip
"""References of a right program; asserts take two sandboxes, the others one."""


@dataclass(frozen=True)
class ProgramFigures:
    """One kind of tests, over the repeats.

    Attributes:
        kind: of `KINDS`.
        programs: judged per repeat, each in a sandbox of its own.
        per_s: programs per second.
        median_s, slowest_s: of a program of a repeat.
        wrong: right programs that did not pass, in all repeats; must be 0.
    """

    kind: str
    programs: int
    per_s: Spread
    median_s: Spread
    slowest_s: Spread
    wrong: int


def bench_programs(kind: str, programs: int, at_once: int, repeats: int) -> ProgramFigures:
    """Judge a small right program so often, some at once."""

    def judged(_: int) -> tuple[float, bool]:
        start = time.perf_counter()
        passed = verify("", ANSWER, KINDS[kind], {})
        return time.perf_counter() - start, passed

    seconds, found = [], []
    with ThreadPoolExecutor(at_once) as threads:
        for _ in range(repeats):
            start = time.perf_counter()
            found.append(list(threads.map(judged, range(programs))))
            seconds.append(time.perf_counter() - start)
    took = [[each for each, _ in one] for one in found]
    return ProgramFigures(
        kind=kind,
        programs=programs,
        per_s=Spread.of([programs / each for each in seconds]),
        median_s=Spread.of([statistics.median(each) for each in took]),
        slowest_s=Spread.of([max(each) for each in took]),
        wrong=sum(not passed for one in found for _, passed in one),
    )
