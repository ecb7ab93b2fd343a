"""One grading process, seen from ours: start it, ask it within a deadline, kill it.

Plain `subprocess` and pipes instead of `multiprocessing` or pebble (5.2), which is made of that: they work
from any thread, and inside Ray actors and other daemon processes, which may not have such children.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tw_plugins.errors import UserError

# -P: the folder of the script, which holds our modules, does not shadow other packages.
WORKER = (sys.executable, "-P", str(Path(__file__).with_name("worker.py")))

GRACE_SECONDS = 1.0


class GradingError(UserError, RuntimeError):
    """Grading itself is broken (not the answer): a worker cannot start."""


class WorkerLate(Exception):
    """The deadline passed."""


class WorkerDied(Exception):
    """The process ended without a reply."""


class GradingProcess:
    """One running worker. Not for two threads at once; the pool sees to that.

    Args:
        command: the worker program.
        start_seconds: how long it may take to say that it is ready (it imports math-verify).

    Raises:
        GradingError: it does not get ready.
    """

    def __init__(self, command: Sequence[str] = WORKER, start_seconds: float = 120.0) -> None:
        self._buffer = b""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nobody reads it, and a full pipe would hold up the worker.
            stderr=subprocess.DEVNULL,
            bufsize=0,
            process_group=0,  # with the child that compares
        )
        try:
            problem = self._read(start_seconds).get("error")
        except WorkerLate:
            problem = f"not ready after {start_seconds:g} s"
        except WorkerDied:
            problem = f"it ended with status {self.process.wait()} before it was ready"
        if problem:
            self.kill()
            raise GradingError(
                f"grading worker did not start: {problem}. Is math-verify installed and importable?"
            )

    def ask(self, answer: str | None, reference: str, tolerance: float, seconds: float) -> dict[str, Any]:
        """Sends one request and waits for its reply; the worker itself keeps the deadline.

        Raises:
            WorkerLate: no reply GRACE_SECONDS after the deadline.
            WorkerDied: the process ended.
        """
        # At most 48 kB of JSON (two texts of MAX_CHARACTERS): a pipe has room for it, so writing cannot hang.
        request = {"answer": answer, "reference": reference, "tolerance": tolerance, "seconds": seconds}
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise WorkerDied from error
        return self._read(seconds + GRACE_SECONDS)

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        # Not `select.select`, which fails from descriptor 1024 on: trainers have many open.
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise WorkerLate
            chunk = os.read(fd, 65536)
            if not chunk:
                raise WorkerDied
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def kill(self) -> None:
        """Ends the process and its child, and reaps it: no zombie, no open pipe."""
        # The group, since the child that hangs is not the process that was started.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
