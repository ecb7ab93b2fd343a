r"""Are two answers the same? Plain numbers and words here, the rest in another process.

    answer, reference ─ normalise ─▸ affixes ─▸ plain ─ not sure ─▸ worker: structure, compare, exact

Answers come from a model, so nothing of them is evaluated in this process and every comparison ends: see
`grading.pool` (deadline, killing, replacing) and `grading.worker` (no `eval`, bounded memory). Expressions
are read by math-verify's LaTeX grammar and compared by value; what is a matter of taste: docs/grading.md.
"""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass
from functools import lru_cache

from tw_plugins.grading.affixes import readings
from tw_plugins.grading.boxed import extract_answer
from tw_plugins.grading.normalise import normalise
from tw_plugins.grading.plain import compare_plainly
from tw_plugins.grading.pool import GradingPool, PoolStats
from tw_plugins.grading.process import GradingError, WorkerLate
from tw_plugins.grading.simple import compare_simply

__all__ = ["GradingError", "GradingStats", "extract_answer", "is_equivalent", "is_readable", "stats"]

MAX_CHARACTERS = 2000  # a longer answer is not equivalent: no problem has one, and parsing time grows fast


@dataclass(frozen=True)
class GradingStats(PoolStats):
    """What grading has met in this process. ``too_long``: over MAX_CHARACTERS, not compared."""

    too_long: int = 0


class _Grader:
    """The pool of one process and the counter beside it; made on first use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: GradingPool | None = None
        self.too_long = 0

    def get_pool(self) -> GradingPool:
        with self.lock:
            self.pool = self.pool or GradingPool()
            return self.pool

    def count_too_long(self) -> None:
        with self.lock:
            self.too_long += 1


_grader = _Grader()


def _forget_after_fork() -> None:
    """A forked child must not talk to its parent's workers, nor inherit a lock that a thread was holding."""
    global _grader
    _grader = _Grader()


os.register_at_fork(after_in_child=_forget_after_fork)


def is_equivalent(answer: str, reference: str, tolerance: float = 0.0) -> bool:
    r"""Whether ``answer`` says the same as ``reference``, in bounded time. Safe to call from any thread.

    Numbers (``7``, ``007``, ``1,234``, ``0.5``, ``\frac{1}{2}``), words and identical strings need no other
    process. Anything else (``\sqrt{2}``, ``x^2-1``, sets, intervals, …) goes to one, and is not equivalent
    when that takes longer than 5 s. Work that is not done, as in ``3+4``, is no answer to a reference that is
    an integer or a fraction: see `grading.plain`. An empty answer is equal to nothing.

    Args:
        tolerance: relative difference up to which a decimal is right; 0: decimals are exact too, or the
            rounded value of a number that has no finite decimal (`grading.numbers`).

    Raises:
        GradingError: a grading process cannot start, for example because math-verify is missing.
    """
    answer, reference = answer.strip(), reference.strip()
    if not answer or not reference:
        return False
    # Before the bound: a copy needs no parsing, however long it is.
    if answer == reference:
        return True
    if max(len(answer), len(reference)) > MAX_CHARACTERS:
        _grader.count_too_long()
        return False
    answer, reference = normalise(answer), normalise(reference)
    said = [compare_plainly(*pair, tolerance) for pair in readings(answer, reference)]
    if True in said or None not in said:
        return True in said
    # Once for all readings: one answer gets one deadline.
    return _grader.get_pool().equal(answer, reference, tolerance)


def is_readable(reference: str) -> bool:
    r"""Whether ``reference`` can be compared with anything but a copy of itself: no ``\frac{1}{``, no URL.

    One that could not be read in time counts as readable: a busy machine must not cost a row.

    Raises:
        GradingError: as `is_equivalent`.
    """
    try:
        return _is_readable(reference)
    except WorkerLate:
        return True


@lru_cache(maxsize=4096)  # references of a file are much alike
def _is_readable(reference: str) -> bool:
    reference = normalise(reference)
    if any(compare_simply(*pair) is not None for pair in readings(reference, reference)):
        return True
    if not reference or len(reference) > MAX_CHARACTERS:
        return False
    return _grader.get_pool().readable(reference)


def stats() -> GradingStats:
    """Counts of this process so far."""
    # No lock: the pool replaces its stats as a whole.
    counted = asdict(_grader.pool.stats) if _grader.pool else {}
    return GradingStats(**counted, too_long=_grader.too_long)
