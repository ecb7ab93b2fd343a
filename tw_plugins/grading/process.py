"""A process that works for ours, one of grading's above all: start it, ask it within a deadline, kill it.

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
from collections.abc import Mapping, Sequence
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


class NotReady(Exception):
    """The process did not get ready; the message says why."""


class JsonProcess:
    """A program that says ready (or why not) in one line of JSON, then answers each line with a line.

    Not for two threads at once; a pool sees to that.

    Args:
        command: the program.
        start_seconds: how long it may take to say that it is ready.
        first: sent before it has to be ready.
        stderr: as in `subprocess`; a pipe that nobody reads would hold up the program.
        most_bytes: of one reply, where the program cannot be trusted; one that writes more counts as dead.

    Attributes:
        ready: the line in which it said so.

    Raises:
        NotReady: it does not get ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        start_seconds: float,
        first: Mapping[str, Any] | None = None,
        stderr: int | None = subprocess.DEVNULL,
        most_bytes: int | None = None,
    ) -> None:
        self._buffer, self._most_bytes = bytearray(), most_bytes
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            process_group=0,  # with the children that work for it
        )
        assert self.process.stdin is not None
        os.set_blocking(self.process.stdin.fileno(), False)
        try:
            ready = self._read(start_seconds) if first is None else self.request(first, start_seconds)
            problem, self.ready = ready.get("error"), ready
        except WorkerLate:
            problem = f"not ready after {start_seconds:g} s"
        except WorkerDied:
            problem = f"it ended with status {self.process.wait()} before it was ready"
        if problem:
            self.kill()
            raise NotReady(str(problem))

    def request(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Sends one request and waits for its reply.

        Raises:
            WorkerLate: no reply in time.
            WorkerDied: the process ended.
        """
        deadline = time.monotonic() + seconds
        self._write(json.dumps(request).encode() + b"\n", deadline)
        return self._read(deadline - time.monotonic())

    def _write(self, line: bytes, deadline: float) -> None:
        """A pipe has room for 64 KiB: more is written while the process reads."""
        assert self.process.stdin is not None
        fd = self.process.stdin.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        rest = memoryview(line)
        while rest:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise WorkerLate
            try:
                rest = rest[os.write(fd, rest) :]
            except BrokenPipeError as error:
                raise WorkerDied from error

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        # Not `select.select`, which fails from descriptor 1024 on: trainers have many open.
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + seconds
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0:
            looked = len(self._buffer)
            if self._most_bytes is not None and looked > self._most_bytes:
                raise WorkerDied
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise WorkerLate
            chunk = os.read(fd, 65536)
            if not chunk:
                raise WorkerDied
            self._buffer += chunk
        reply: dict[str, Any] = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
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


class GradingProcess(JsonProcess):
    """One running worker of grading.

    Raises:
        GradingError: it does not get ready.
    """

    def __init__(self, command: Sequence[str] = WORKER, start_seconds: float = 120.0) -> None:
        try:
            super().__init__(command, start_seconds)
        except NotReady as error:
            raise GradingError(
                f"grading worker did not start: {error}. Is math-verify installed and importable?"
            ) from error

    def ask(self, answer: str | None, reference: str, tolerance: float, seconds: float) -> dict[str, Any]:
        """Sends one request and waits for its reply; the worker itself keeps the deadline.

        Raises:
            WorkerLate: no reply GRACE_SECONDS after the deadline.
            WorkerDied: the process ended.
        """
        request = {"answer": answer, "reference": reference, "tolerance": tolerance, "seconds": seconds}
        return self.request(request, seconds + GRACE_SECONDS)
