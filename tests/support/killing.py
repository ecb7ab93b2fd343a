"""SIGKILL for one process of a run, in the middle of what it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

TIME_LIMIT_S = 900  # thrice what it takes on two idle cores


@contextmanager
def killing(folder: Path, actor: str, method: str, once: Callable[[], bool]) -> Iterator[None]:
    """Meanwhile one of a run's Ray actors of a class dies in a method, the first time after `once`.

    Args:
        folder: where the run runs.
    """
    thread = threading.Thread(target=_kill, args=(folder, actor, method, once), daemon=True)
    thread.start()
    yield
    thread.join(1)
    assert not thread.is_alive(), f"no {actor}.{method} after all"


def _kill(folder: Path, actor: str, method: str, once: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIME_LIMIT_S
    while not once() and time.monotonic() < deadline:
        time.sleep(0.1)
    victim = next(_actors(folder, f"ray::{actor}"))
    while _title(victim) != f"ray::{actor}.{method}" and time.monotonic() < deadline:
        time.sleep(0.002)  # an update of the tests takes a tenth of a second
    victim.kill()


def _actors(folder: Path, title: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _title(process).startswith(title) and process.cwd() == str(folder):
                yield process


def _title(process: psutil.Process) -> str:
    """What Ray calls a process: the method it is in is a part of it."""
    return " ".join(process.cmdline()).strip()
