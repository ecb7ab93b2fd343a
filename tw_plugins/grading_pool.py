"""A small pool of grading processes: every comparison has a deadline, who misses it is killed and replaced.

Processes start when first needed (about a second each) and serve until the pool closes.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tw_plugins.grading_process import WORKER, GradingError, GradingProcess, WorkerDied, WorkerLate


@dataclass(frozen=True)
class PoolStats:
    """Outcomes so far.

    ``graded``: comparisons that ended or were cut off · ``timeouts``: cut off at the deadline · ``crashes``:
    deaths of a process · ``errors``: comparisons that raised inside it · ``swollen``: processes replaced
    because an answer made them use very much memory.
    """

    graded: int = 0
    timeouts: int = 0
    crashes: int = 0
    errors: int = 0
    swollen: int = 0


class GradingPool:
    """Compares answers in up to ``size`` processes, each comparison within ``deadline`` seconds. Thread-safe.

    Args:
        size: processes at most; more callers wait for a free one.
        deadline: wall-clock seconds per comparison; then the process is killed, the answer not equivalent.
        start_seconds: how long a process may take to import math-verify.
        command: the worker program, for tests.
    """

    def __init__(
        self,
        size: int = 2,
        deadline: float = 5.0,
        start_seconds: float = 120.0,
        command: Sequence[str] = WORKER,
    ) -> None:
        if size < 1 or deadline <= 0:
            raise ValueError(
                f"GradingPool needs size >= 1 and deadline > 0, got size={size}, deadline={deadline}"
            )
        self.deadline, self._command, self._start_seconds = deadline, tuple(command), start_seconds
        self.stats = PoolStats()
        self._lock = threading.Lock()
        self._alive: set[GradingProcess] = set()
        self._owner = os.getpid()
        self._closed = False
        # A slot is a running worker, or None: start one. Last in, first out, so light traffic needs few.
        self._slots: queue.LifoQueue[GradingProcess | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)
        atexit.register(self.close)

    def equal(self, answer: str, reference: str) -> bool:
        """Whether math-verify finds the two equivalent; False when it takes too long or dies on them.

        Raises:
            GradingError: a worker cannot start.
        """
        request: dict[str, object] = {"answer": answer, "reference": reference, "seconds": self.deadline}
        for _ in range(2):  # one death may have another cause than this answer, two may not
            with suppress(WorkerDied):
                try:
                    return self._attempt(request)
                except WorkerLate:
                    return False
        return False

    def _attempt(self, request: dict[str, object]) -> bool:
        slot = self._slots.get()
        try:
            if self._closed:
                raise GradingError("this grading pool is closed")
            worker = slot or self._start()
            slot = None  # until it has answered, the worker is not fit for anyone else
            reply = self._ask(worker, request)
            if reply.get("swollen"):
                self._discard(worker)
                self._count(swollen=1)
            else:
                slot = worker
        finally:
            self._slots.put(slot)
        return bool(reply["equal"])

    def _ask(self, worker: GradingProcess, request: dict[str, object]) -> dict[str, Any]:
        try:
            reply = worker.ask(request, self.deadline)
        except BaseException as error:
            self._discard(worker)
            late, died = isinstance(error, WorkerLate), isinstance(error, WorkerDied)
            self._count(graded=int(late), timeouts=int(late), crashes=int(died))
            raise
        self._count(graded=1, errors=int("error" in reply))
        return reply

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
        atexit.unregister(self.close)
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            workers, self._alive = self._alive, set()
        for worker in workers:
            worker.kill()
