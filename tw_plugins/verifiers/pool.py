"""Processes of one verifier: each answers one request at a time, within its seconds, and may die of it.

A process for each call that is under way: at most `SIZE`, or `WAITING` of an `async` verifier, which waits
for others. They start when first needed, in the time, and with the memory, that importing the function
takes, and serve until this process ends.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tw_plugins.grading.process import GRACE_SECONDS, JsonProcess, NotReady, WorkerDied, WorkerLate
from tw_plugins.verifiers.names import VerifierError, target_of
from tw_plugins.verifiers.task import Failed, Task, score_in

__all__ = ["VerifierPool", "pool_of", "start"]

# -P: the folder of the script, which holds our modules, does not shadow other packages.
WORKER = (sys.executable, "-P", str(Path(__file__).with_name("worker.py")))
SIZE, WAITING = 2, 32
START_SECONDS = 300.0  # a module may import torch, or load a model


class VerifierPool:
    """Asks the processes of one verifier. Thread-safe.

    Args:
        verifier: as the setting names it.
    """

    def __init__(self, verifier: str) -> None:
        self.verifier = verifier
        self._lock = threading.Lock()
        self._slots: queue.LifoQueue[JsonProcess | None] = queue.LifoQueue()
        self._size = 0
        self._widen(SIZE)
        self._owner = os.getpid()
        self._alive: set[JsonProcess] = set()
        atexit.register(self.close)

    def score(self, task: Task, seconds: float) -> float:
        """What the verifier says of an answer, 0 to 1.

        Raises:
            Failed: it raised, had no verdict after so many seconds, or its process died, twice.
            VerifierError: it cannot be loaded, or returned what is no score.
        """
        for _ in range(2):  # one death may have another cause than this answer, two may not
            with suppress(WorkerDied):
                reply = self._ask({**asdict(task), "seconds": seconds}, seconds)
                return self._score(reply, seconds)
        raise Failed("its process died")

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        process, kept = self._slots.get(), None
        try:
            process = process or self._start()
            reply = process.request(json.loads(json.dumps(request, default=_plain)), seconds + GRACE_SECONDS)
            kept = process
            return reply
        except WorkerLate:
            return {"late": True}
        finally:
            # Also on Ctrl-C: a process that still owes a reply would give it to the next one who asks.
            if process is not None and kept is None:
                process.kill()
                self._alive.discard(process)
            self._slots.put(kept)

    def _score(self, reply: dict[str, Any], seconds: float) -> float:
        if "late" in reply:
            raise Failed(f"no verdict after {seconds:g} s")
        if "error" in reply:
            raise Failed(reply["error"])
        return score_in(self.verifier, reply.get("score"), reply.get("odd"))

    def _start(self) -> JsonProcess:
        process = start(self.verifier)
        self._alive.add(process)
        if process.ready["async"]:
            self._widen(WAITING)
        return process

    def _widen(self, size: int) -> None:
        """Slots for so many processes; more callers wait for a free one."""
        with self._lock:
            while self._size < size:
                self._slots.put(None)
                self._size += 1

    def close(self) -> None:
        """Kills all processes. In a forked child it does nothing: they are the parent's."""
        atexit.unregister(self.close)
        if os.getpid() == self._owner:
            for process in list(self._alive):
                process.kill()


_lock = threading.Lock()
_pools: dict[str, VerifierPool] = {}


def pool_of(verifier: str) -> VerifierPool:
    """The one pool that this process has of a verifier."""
    with _lock:
        if verifier not in _pools:
            _pools[verifier] = VerifierPool(verifier)
        return _pools[verifier]


def _forget_after_fork() -> None:
    """A forked child must not talk to its parent's processes, nor inherit a lock that a thread held."""
    global _lock, _pools
    _lock, _pools = threading.Lock(), {}


os.register_at_fork(after_in_child=_forget_after_fork)


def start(verifier: str, sources: Iterable[str] = ()) -> JsonProcess:
    """A process that has loaded the verifier.

    Args:
        sources: of the data, for a verifier that knows some only.

    Raises:
        VerifierError: it cannot be loaded; one line.
    """
    first = {"target": target_of(verifier), "path": sys.path, "sources": sorted(sources)}
    try:
        return JsonProcess(WORKER, START_SECONDS, first, stderr=None)
    except NotReady as error:
        raise VerifierError(f"verifier {verifier} cannot be used: {error}") from error


def _plain(value: Any) -> Any:
    """What JSON does not know: numpy's numbers and arrays as Python's, anything else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
