"""A small pool of grading processes in two lanes, so that answers which never end hold up no others.

    fast lane: 2 processes, 0.5 s   ── late ──▸   slow lane: 1 process, 5 s   ── late ──▸   not equivalent

Most comparisons take a millisecond. One that is late leaves the fast lane, where an answer waits for at most
0.5 s per late one before it, shared by the processes; in the slow lane it waits for 30 s at most. What was
late is remembered, so that a copy of it costs nothing. Processes start when first needed (about a second
each) and serve until the pool closes.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tw_plugins.grading.process import WORKER, GradingError, GradingProcess, WorkerDied, WorkerLate

Pair = tuple[str | None, str, float]  # answer (None: can the reference be read?), reference, tolerance
REMEMBERED = 4096  # pairs of texts, of 2,000 characters at most


@dataclass(frozen=True)
class PoolStats:
    """Outcomes so far.

    ``graded``: comparisons that ended or were cut off · ``late``: went on to the slow lane · ``timeouts``:
    cut off at the deadline · ``remembered``: copies of those, not compared again · ``crowded``: got no turn
    in the slow lane · ``crashes``: deaths of a process · ``errors``: comparisons that raised inside it ·
    ``swollen``: processes replaced because an answer made them use very much memory.
    """

    graded: int = 0
    late: int = 0
    timeouts: int = 0
    remembered: int = 0
    crowded: int = 0
    crashes: int = 0
    errors: int = 0
    swollen: int = 0


class _Lane:
    """Slots for processes. A slot is a running worker, or None: start one.

    Last in, first out, so light traffic needs few.
    """

    def __init__(self, size: int) -> None:
        self.slots: queue.LifoQueue[GradingProcess | None] = queue.LifoQueue()
        for _ in range(size):
            self.slots.put(None)


class GradingPool:
    """Compares answers in other processes, each comparison within ``deadline`` seconds. Thread-safe.

    Args:
        size: processes of the fast lane at most; more callers wait for a free one.
        deadline: wall-clock seconds per comparison; then the answer is not equivalent.
        first: seconds that a comparison may take in the fast lane.
        slow: processes of the slow lane at most.
        wait: seconds that a comparison waits for its turn in the slow lane; then it is not equivalent.
        start_seconds: how long a process may take to import math-verify.
        command: the worker program, for tests.
    """

    def __init__(
        self,
        size: int = 2,
        deadline: float = 5.0,
        first: float = 0.5,
        slow: int = 1,
        wait: float = 30.0,
        start_seconds: float = 120.0,
        command: Sequence[str] = WORKER,
    ) -> None:
        if min(size, slow) < 1 or min(deadline, first) <= 0:
            raise ValueError(
                f"GradingPool needs size >= 1 and deadline > 0, got size={size}, deadline={deadline} "
                f"(slow={slow} and first={first} likewise)"
            )
        self.deadline, self.first, self.wait = deadline, first, wait
        self._command, self._start_seconds = tuple(command), start_seconds
        self.stats = PoolStats()
        self._lock = threading.Lock()
        self._alive: set[GradingProcess] = set()
        self._owner = os.getpid()
        self._closed = False
        self._fast, self._slow = _Lane(size), _Lane(slow)
        # The longest deadline that each pair has missed, the least recently asked first.
        self._late: OrderedDict[Pair, float] = OrderedDict()
        atexit.register(self.close)

    def equal(self, answer: str, reference: str, tolerance: float = 0.0) -> bool:
        """Whether math-verify finds the two equivalent; False when it takes too long or dies on them.

        Raises:
            GradingError: a worker cannot start.
        """
        with suppress(WorkerLate):
            return self._in_two_lanes((answer, reference, tolerance))
        return False

    def readable(self, reference: str) -> bool:
        """Whether a reference can be compared with anything; False when reading it kills its process.

        Raises:
            GradingError: a worker cannot start.
            WorkerLate: no answer in time, which says nothing of the reference where the machine is busy.
        """
        return self._in_two_lanes((None, reference, 0.0))

    def _in_two_lanes(self, pair: Pair) -> bool:
        with suppress(WorkerLate):
            return self._compare(self._fast, pair, min(self.first, self.deadline), None)
        if self.first < self.deadline:
            return self._compare(self._slow, pair, self.deadline, self.wait)
        raise WorkerLate  # the fast lane has given it all its time

    def _compare(self, lane: _Lane, pair: Pair, seconds: float, wait: float | None) -> bool:
        for _ in range(2):  # one death may have another cause than this answer, two may not
            with suppress(WorkerDied):
                return self._attempt(lane, pair, seconds, wait)
        return False

    def _attempt(self, lane: _Lane, pair: Pair, seconds: float, wait: float | None) -> bool:
        self._check_new(pair, seconds)
        try:
            slot = lane.slots.get(timeout=wait)
        except queue.Empty:
            # Not remembered as late: it has not been compared, and a copy of it may find a turn.
            self._count(crowded=1)
            raise WorkerLate from None
        try:
            # `close` may have come while this one waited for its slot.
            if self._closed:
                raise GradingError("this grading pool is closed")
            self._check_new(pair, seconds)  # a copy of it may have been late while this one waited
            worker = slot or self._start()
            slot = None  # until it has answered, the worker is not fit for anyone else
            reply = self._ask(worker, pair, seconds)
            # Its answer counts; only the process is not used again.
            if reply.get("swollen"):
                self._discard(worker)
                self._count(swollen=1)
            else:
                slot = worker
        finally:
            # None after a death: the slot lives on, and who takes it starts another process.
            lane.slots.put(slot)
        if reply.get("late"):
            self._remember(pair, seconds)
            raise WorkerLate
        if reply.get("died"):
            self._count(crashes=1)
            raise WorkerDied
        self._count(graded=1, errors=int("error" in reply))
        return bool(reply["equal"])

    def _ask(self, worker: GradingProcess, pair: Pair, seconds: float) -> dict[str, Any]:
        try:
            return worker.ask(*pair, seconds)
        except BaseException as error:
            # Also on Ctrl-C: a worker that still owes a reply would give it to the next one who asks.
            self._discard(worker)
            if isinstance(error, WorkerLate):
                self._remember(pair, seconds)
            self._count(crashes=int(isinstance(error, WorkerDied)))
            raise

    def _check_new(self, pair: Pair, seconds: float) -> None:
        """Raises WorkerLate when these two texts have missed such a deadline before."""
        with self._lock:
            # The seconds, not a flag: who was late in the fast lane is still to be heard in the slow one.
            if self._late.get(pair, 0.0) < seconds:
                return
            self._late.move_to_end(pair)
        # Once per comparison: a lane that only hands on does not count.
        self._count(remembered=int(seconds >= self.deadline))
        raise WorkerLate

    def _remember(self, pair: Pair, seconds: float) -> None:
        """Counts a deadline that was missed, and keeps it."""
        with self._lock:
            self._late[pair] = seconds
            self._late.move_to_end(pair)
            if len(self._late) > REMEMBERED:
                self._late.popitem(last=False)
        cut_off = int(seconds >= self.deadline)
        self._count(late=1 - cut_off, timeouts=cut_off, graded=cut_off)

    def _start(self) -> GradingProcess:
        worker = GradingProcess(self._command, self._start_seconds)
        with self._lock:
            self._alive.add(worker)
        return worker

    def _discard(self, worker: GradingProcess) -> None:
        worker.kill()
        with self._lock:
            self._alive.discard(worker)

    def _count(self, **by: int) -> None:
        with self._lock:
            sums = {name: getattr(self.stats, name) + n for name, n in by.items()}
            self.stats = replace(self.stats, **sums)

    def pids(self) -> list[int]:
        """Process ids of the running workers."""
        with self._lock:
            return sorted(worker.process.pid for worker in self._alive)

    def close(self) -> None:
        """Kills and reaps all workers. In a forked child it does nothing: they are the parent's."""
        # Or a closed pool is kept in memory until the process ends.
        atexit.unregister(self.close)
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            workers, self._alive = self._alive, set()
        for worker in workers:
            worker.kill()
