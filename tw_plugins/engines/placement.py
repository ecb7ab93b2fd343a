"""Engines that are compared share the same CPUs, and this process takes another one.

Without that, where a process happens to run decides who is faster: the kernel keeps it on one CPU for many
seconds, beside whatever else runs there. One model against itself, on two CPUs that other work shared, gave
ratios of seconds from 0.5 to 2.7, and a median of 0.59 in one run; placed like this, from 0.77 to 1.13, and
medians from 0.99 to 1.02.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["side_by_side"]


@contextmanager
def side_by_side(threads: int) -> Iterator[bool]:
    """Inside, all children that there are have the same ``threads`` CPUs, and this process one of the others.

    A thread that is bound to some CPUs already stays there. In the end all are free again.

    Args:
        threads: of each child.

    Yields:
        False, and nothing is changed, where there are too few CPUs or the system cannot say which.
    """
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cpus) <= threads:
        yield False
        return
    moved = _move(set(cpus), {cpus[-threads - 1]}, set(cpus[-threads:]))
    try:
        yield True
    finally:
        for thread in moved:
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(thread, cpus)


def _move(free: set[int], ours: set[int], childrens: set[int]) -> list[int]:
    """The threads that were free to run anywhere."""
    import psutil  # vLLM brings it

    me, moved = psutil.Process(), []
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            for thread in process.threads():
                if os.sched_getaffinity(thread.id) == free:
                    os.sched_setaffinity(thread.id, ours if process == me else childrens)
                    moved.append(thread.id)
    return moved
