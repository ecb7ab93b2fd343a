"""What a killed job leaves behind, and its removal: processes, temporary files, shared memory.

A job runs in a session of its own; Ray, its workers and vLLM stay in it, whoever of them dies first. Its
temporary files, Ray's and vLLM's sockets among them, have one folder.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

from tw_plugins.storage.atomic import write_text

SHARED_MEMORY = Path("/dev/shm")
SEGMENTS = ("sem.mp-*", "psm_*", "verl_weights_*")  # Python's multiprocessing's, and verl's own
SETTLED_S = 1.0  # a segment has its first user by then


def scratch_folder() -> Path:
    """A new folder for a job's temporary files; short, as a socket's path has at most 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="tw"))


@dataclass(frozen=True)
class Session:
    """All that one run of a job started.

    Attributes:
        leader: the job's process.
        created: when, in seconds since the epoch.
        scratch: its `scratch_folder`.
    """

    leader: int
    created: float
    scratch: str

    @classmethod
    def of(cls, leader: int, scratch: Path) -> Self:
        """The session of a process that was just started."""
        return cls(leader, psutil.Process(leader).create_time(), str(scratch))

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """What an earlier run wrote; None where there is nothing that can be read."""
        try:
            return cls(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """For a later run, should this one be killed."""
        write_text(file, json.dumps(asdict(self)))

    def end(self) -> None:
        """Kill what still runs and remove what is left; a second time does nothing."""
        mine = self.members()
        for process in mine:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(mine, timeout=15)
        shutil.rmtree(self.scratch, ignore_errors=True)
        for segment in _abandoned(self.created):
            segment.unlink(missing_ok=True)

    def members(self) -> list[psutil.Process]:
        """The processes that are left of it."""
        try:  # the number may be another session's by now
            if psutil.Process(self.leader).create_time() != self.created:
                return []
        except psutil.NoSuchProcess:
            if self.created < psutil.boot_time():
                return []
        return [process for process in psutil.process_iter() if _runs_in(process, self.leader)]


def _runs_in(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _abandoned(since: float) -> Iterator[Path]:
    """Segments made since then that no process has mapped any more."""
    used: set[int] | None = None
    for segment in (found for pattern in SEGMENTS for found in SHARED_MEMORY.glob(pattern)):
        with suppress(FileNotFoundError):
            status = segment.stat()
            if status.st_uid == os.getuid() and since <= status.st_ctime < time.time() - SETTLED_S:
                used = _mapped() if used is None else used
                if status.st_ino not in used:
                    yield segment


def _mapped() -> set[int]:
    """Inodes in shared memory that a process has mapped; a semaphore's map does not have its name."""
    inodes = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # gone, or another user's
            lines = [line.split() for line in maps.read_text().splitlines() if f" {SHARED_MEMORY}/" in line]
            inodes |= {int(line[4]) for line in lines}
    return inodes
