"""What a run says of the server: answers, waiting times, memory; and what is wrong with it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

__all__ = ["Figures", "Memory"]

MIB = 1 << 20
UNFAIR, SLOW = 1 / 3, 10  # of the median: answers of a client at least, seconds of an answer at most
GROWTH = 16 * MIB


@dataclass
class Memory:
    """Resident bytes of a server's own process; vLLM's engine is another one."""

    pid: int
    samples: list[int] = field(default_factory=list)

    def sample(self) -> None:
        """Once more."""
        self.samples.append(psutil.Process(self.pid).memory_info().rss)

    @property
    def growth(self) -> int:
        """Median of the last third of the samples over that of the second: the first third is warm-up."""
        third = max(1, len(self.samples) // 3)
        return int(
            statistics.median(self.samples[-third:]) - statistics.median(self.samples[third : 2 * third])
        )


@dataclass
class Figures:
    """Of one run.

    Attributes:
        waits: seconds of each answer, by client.
        seen: how often each fault was made, with the server's answer.
        problems: what should not have been, in a line each.
    """

    memory: Memory
    waits: list[list[float]]
    seen: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def answers(self) -> Sequence[int]:
        """Of each client."""
        return [len(waits) for waits in self.waits]

    def judge(self) -> Iterator[str]:
        """The problems, those of fairness and memory too."""
        yield from self.problems
        if not min(self.answers):
            yield f"{self.answers.count(0)} of {len(self.waits)} clients got no answer"
            return
        least, middle = min(self.answers), statistics.median(self.answers)
        if least < UNFAIR * middle:
            yield f"unfair: a client got {least} answers, the median is {middle:g}"
        longest, middle = max(self._all), statistics.median(self._all)
        if longest > SLOW * middle:
            yield f"unfair: an answer took {longest:.1f} s, the median is {middle:.1f} s"
        if self.memory.growth > GROWTH:
            yield f"the server's memory grew by {self.memory.growth / MIB:.0f} MiB"

    def lines(self) -> Iterator[str]:
        """For people."""
        waits = sorted(self._all)
        if not waits:
            yield "no answer"
            return
        count, middle = len(waits), statistics.median(self.answers)
        yield f"{count:,} answers to {len(self.waits)} clients at once"
        yield f"answers of a client: {min(self.answers)} to {max(self.answers)}, median {middle:g}"
        median, p99 = waits[count // 2], waits[count * 99 // 100]
        yield f"seconds of an answer: median {median:.2f}, p99 {p99:.2f}, longest {waits[-1]:.2f}"
        first, last, grown = (
            size / MIB for size in (self.memory.samples[0], self.memory.samples[-1], self.memory.growth)
        )
        yield f"MiB of the server: {first:.0f}, in the end {last:.0f}; {grown:+.1f} from second third to last"
        yield from (f"{times:>7,} {name}" for name, times in sorted(self.seen.items()))

    @property
    def _all(self) -> list[float]:
        return [wait for waits in self.waits for wait in waits]
