"""Two or more ways of doing the same, timed in turns in one process."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PeakMemory", "Timing", "compare", "peak_memory"]

WARM_UP = 1


@dataclass(frozen=True)
class Timing:
    """One way.

    Attributes:
        seconds: median over the repeats.
        ratio, ratio_min, ratio_max: median and extremes of its seconds over those of the first way, repeat by
            repeat; above 1 where the first way is faster.
    """

    seconds: float
    ratio: float
    ratio_min: float
    ratio_max: float


def compare(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Each way once per repeat, in turns, after a warm-up of each; the others are held against the first.

    Raises:
        ValueError: fewer than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}, must be at least 1")
    for way in list(ways.values()) * WARM_UP:
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {name: _timing(own, first) for name, own in seconds.items()}


def _timing(own: list[float], first: list[float]) -> Timing:
    ratios = [mine / ours for mine, ours in zip(own, first, strict=True)]
    return Timing(statistics.median(own), statistics.median(ratios), min(ratios), max(ratios))


class PeakMemory:
    """Bytes by which the process's resident set, or its memory on the device, grew at most, once measured."""

    bytes: int = 0


@contextmanager
def peak_memory(device: str = "cpu", every_s: float = 0.002) -> Iterator[PeakMemory]:
    """Watches the resident set from another thread; what the allocator had kept from before is not seen.

    On "cuda" it is what torch counts there.
    """
    if device == "cuda":
        with _peak_on_cuda() as peak:
            yield peak
        return
    peak, stop = PeakMemory(), threading.Event()
    before = _resident()

    def watch() -> None:
        while not stop.wait(every_s):
            peak.bytes = max(peak.bytes, _resident() - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
        peak.bytes = max(peak.bytes, _resident() - before)


@contextmanager
def _peak_on_cuda() -> Iterator[PeakMemory]:
    import torch

    peak, before = PeakMemory(), torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    yield peak
    peak.bytes = torch.cuda.max_memory_allocated() - before


def _resident() -> int:
    import resource

    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
