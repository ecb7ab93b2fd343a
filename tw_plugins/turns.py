"""Evaluations that share a machine: they decode side by side, and stand aside while one reads the clock."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Turns"]


@dataclass(frozen=True)
class Turns:
    """A lock file that several processes name, on one file system; without a file nobody waits.

    The kernel frees the lock of a process that dies.
    """

    file: Path | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Any number at a time, none while another is `alone`."""
        yield from self._hold(fcntl.LOCK_SH)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One at a time, once nobody is `together` any more."""
        yield from self._hold(fcntl.LOCK_EX)

    def _hold(self, kind: int) -> Iterator[None]:
        if self.file is None:
            yield
            return
        with self.file.open("a") as lock:
            fcntl.flock(lock, kind)
            yield  # closing the file frees it
