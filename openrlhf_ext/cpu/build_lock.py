"""The lock on DeepSpeed's compiled operators, which ends with the process that held it.

torch marks a build, and each later look whether there is one to do, by a file
(`torch/utils/file_baton.py:38`, torch 2.13). A process that is killed meanwhile leaves it there, and every
run after that waits for ever, without a word. Here the kernel holds the lock; the file means nothing.

Seam: `torch.utils.cpp_extension.FileBaton`, for OpenRLHF 0.11.2's DeepSpeed; can go once torch's lock ends
with its process.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any


class BuildLock:
    """In the place of torch's `FileBaton`."""

    def __init__(self, lock_file_path: str, *_: Any, **__: Any) -> None:
        self._path = lock_file_path
        self._held: int | None = None

    def try_acquire(self) -> bool:
        """Whether it is ours now."""
        file = os.open(self._path, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._held = file
        return True

    def wait(self) -> None:
        """Until who has it has released it, or ended."""
        with open(self._path, "a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)

    def release(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None


def register(cpp_extension: Any) -> None:
    """Called once `torch.utils.cpp_extension` is imported."""
    cpp_extension.FileBaton = BuildLock
