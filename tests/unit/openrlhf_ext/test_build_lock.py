"""The lock on compiled operators: for one process at a time, and none that has ended."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from openrlhf_ext.cpu.build_lock import BuildLock

HOLD = """
import sys, time
from openrlhf_ext.cpu.build_lock import BuildLock
assert BuildLock(sys.argv[1]).try_acquire()
print("held", flush=True)
time.sleep(600)
"""


def held_by_another(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_by_another(path) as process:
        lock = BuildLock(str(path), wait_seconds=1)
        assert not lock.try_acquire()
        waiting = threading.Thread(target=lock.wait)
        waiting.start()
        process.kill()
    waiting.join(timeout=30)
    assert not waiting.is_alive() and lock.try_acquire()


def test_a_file_that_torch_left_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert BuildLock(str(tmp_path / "lock")).try_acquire()


def test_released_it_is_the_next_ones(tmp_path: Path) -> None:
    first, second = (BuildLock(str(tmp_path / "lock")) for _ in range(2))
    assert first.try_acquire() and not second.try_acquire()
    first.release()
    assert second.try_acquire()
