"""The most memory that something takes at any time: of a process of its own, or on a CUDA device.

In a process that has worked before, the allocator serves a call from what it has kept, and its resident set
grows by nothing. So each measurement starts a process, which imports and warms up on a tiny case first.
Linux only: the kernel's high-water mark is read and reset in ``/proc/self``.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tw_plugins.bench import BenchError

__all__ = ["RETURN_AT_ONCE", "peak_of_process", "peak_on_cuda"]

RETURN_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Variables of a process that gives large tensors back as they are freed: glibc keeps some, and then its peak
is not the work's."""

RESET_PEAK = "5"  # man 5 proc, clear_refs
Case = TypeVar("Case")


def peak_of_process(
    prepare: Callable[[Case], Callable[[], object]],
    tiny: Case,
    case: Case,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Bytes by which a fresh process grows at most in ``prepare(case)()``, beyond what it had prepared.

    Args:
        prepare: makes the work from a case; it and both cases go to the process by pickle.
        tiny: done first, for everything that is imported or set up only once.
        environment: further variables of the process.

    Raises:
        BenchError: the process failed, or was killed.
    """
    asked = pickle.dumps((prepare, tiny, case))
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run([sys.executable, "-m", __name__], input=asked, capture_output=True, env=variables)
    if done.returncode < 0:
        raise BenchError(
            f"the process whose memory is measured was killed by signal {-done.returncode}, most likely for "
            f"taking too much: give fewer --tokens"
        )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BenchError(f"see why the process whose memory is measured failed: {' '.join(last)}")
    return int(done.stdout.split()[-1])


def _grown_by(prepare: Callable[[Case], Callable[[], object]], tiny: Case, case: Case) -> int:
    prepare(tiny)()
    work = prepare(case)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, or the work would be served from it
    Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    """Bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None, f"/proc/self/status has no {field}"
    return int(found[1]) * 1024


def peak_on_cuda(work: Callable[[], object]) -> int:
    """Bytes on the device beyond those allocated before, by torch's counter."""
    import torch

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() - before


if __name__ == "__main__":
    sys.stdout.write(f"{_grown_by(*pickle.load(sys.stdin.buffer))}\n")
