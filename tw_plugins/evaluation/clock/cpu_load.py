"""How much of the machine's CPU time other processes take: what a wall clock may have suffered from."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

__all__ = ["OthersCpu"]


class _Look(NamedTuple):
    """Seconds of all CPUs together since boot."""

    total: float
    busy: float
    ours: float


class OthersCpu:
    """Share of the CPU time that goes to processes other than this one and the children that it has by now.

    The load average is a mean over minutes and counts our own work; this is exact over a span of a second.
    """

    def __init__(self) -> None:
        import psutil  # vLLM brings it

        me = psutil.Process()
        self._ours = [me, *me.children(recursive=True)]
        self._since = self._look()

    def restart(self) -> None:
        """The next share is counted from now."""
        self._since = self._look()

    def share(self) -> float:
        """0..1 of all CPUs, since the last restart; what a hypervisor gave to other machines counts too."""
        now, since = self._look(), self._since
        total, busy, ours = (after - before for after, before in zip(now, since, strict=True))
        return min(max((busy - ours) / total, 0.0), 1.0) if total > 0 else 0.0

    def _look(self) -> _Look:
        import psutil

        cpu, ours = psutil.cpu_times(), 0.0
        for process in self._ours:
            with suppress(psutil.NoSuchProcess):  # a child that had ended before it mattered
                mine = process.cpu_times()
                ours += mine.user + mine.system
        busy = sum(getattr(cpu, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
        return _Look(busy + cpu.idle + getattr(cpu, "iowait", 0.0), busy, ours)
