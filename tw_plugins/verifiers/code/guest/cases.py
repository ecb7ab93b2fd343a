"""A program, once per standard input, each time in a process of its own.

→ {"program": "print(input())", "stdin": "7", "seconds": 10}
← {"status": 0, "output": "7\\n"}, status null where it was late, or {"broken": "no memory"}
"""

from __future__ import annotations

import ctypes  # noqa: F401, before the forks, which need it
import os
import select
import signal
import sys
from types import ModuleType

from .confine import FILE, confine
from .lines import connect
from .prelude import PRELUDE


def main() -> None:
    requests, reply = connect()
    for request in requests:
        given, written = os.memfd_create("given"), os.memfd_create("written")
        with open(given, "wb", closefd=False) as file:
            file.write(request["stdin"].encode("utf-8", "surrogatepass"))
        os.lseek(given, 0, os.SEEK_SET)
        try:
            child = os.fork()
        except OSError as error:  # the machine's fault, not the program's
            return reply({"broken": str(error)})
        if child == 0:
            _become(request["program"], given, written, request["seconds"])
            return  # and end as any program: threads are waited for, output is flushed
        status = _wait(child, request["seconds"])
        output = os.pread(written, FILE, 0).decode("utf-8", "replace")
        for fd in (given, written):
            os.close(fd)
        reply({"status": status, "output": output})


def _become(program: str, given: int, written: int, seconds: float) -> None:
    os.dup2(given, 0)
    os.dup2(written, 1)
    os.closerange(3, 256)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    module = sys.modules["__main__"] = ModuleType("__main__")
    exec(PRELUDE, module.__dict__)
    confine(seconds)
    exec(compile(program, "program.py", "exec", dont_inherit=True), module.__dict__)


def _wait(child: int, seconds: float) -> int | None:
    """Its status; None where it had to be killed."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    late = not poll.poll(seconds * 1000)
    if late:
        os.kill(child, signal.SIGKILL)
    os.close(ended)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if late else status
