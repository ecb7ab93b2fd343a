"""What a run says of the server: answers, waiting times, memory; and what is wrong with it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

__all__ = ["Figures", "Memory"]

Span = tuple[float, float]
MIB = 1 << 20
UNFAIR = 1 / 3  # of the median, that a client gets at least
OVERTAKEN = 10  # answers that another client gets, on average, while one waits for one
LOOKED_AT = 100  # of the longest
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
        spans: when each answer was asked for and when it had come, by client.
        seen: how often each fault was made, with the server's answer.
        problems: what should not have been, in a line each.
    """

    memory: Memory
    spans: list[list[Span]]
    seen: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def answers(self) -> Sequence[int]:
        """Of each client."""
        return [len(spans) for spans in self.spans]

    def judge(self) -> Iterator[str]:
        """The problems, those of fairness and memory too."""
        yield from self.problems
        if not min(self.answers):
            yield f"{self.answers.count(0)} of {len(self.spans)} clients got no answer"
            return
        least, middle = min(self.answers), statistics.median(self.answers)
        if least < UNFAIR * middle:
            yield f"unfair: a client got {least} answers, the median is {middle:g}"
        taken, span = self._most_overtaken()
        if taken > OVERTAKEN:
            yield f"unfair: while an answer took {_seconds(span):.1f} s, each other client got {taken:.1f}"
        if self.memory.growth > GROWTH:
            yield f"the server's memory grew by {self.memory.growth / MIB:.0f} MiB"

    def lines(self) -> Iterator[str]:
        """For people."""
        count, middle = sum(self.answers), statistics.median(self.answers)
        if not count:
            yield "no answer"
            return
        yield f"{count:,} answers to {len(self.spans)} clients at once"
        yield f"answers of a client: {min(self.answers)} to {max(self.answers)}, median {middle:g}"
        waits = [_seconds(span) for span in reversed(self._longest(count))]
        median, p99 = waits[count // 2], waits[count * 99 // 100]
        yield f"seconds of an answer: median {median:.2f}, p99 {p99:.2f}, longest {waits[-1]:.2f}"
        yield f"answers of each other client during one: {self._most_overtaken()[0]:.1f} at most"
        first, last, grown = (
            size / MIB for size in (self.memory.samples[0], self.memory.samples[-1], self.memory.growth)
        )
        yield f"MiB of the server: {first:.0f}, in the end {last:.0f}; {grown:+.1f} from second third to last"
        yield from (f"{times:>7,} {name}" for name, times in sorted(self.seen.items()))

    def _longest(self, count: int) -> list[Span]:
        return sorted((span for spans in self.spans for span in spans), key=_seconds, reverse=True)[:count]

    def _most_overtaken(self) -> tuple[float, Span]:
        """How many answers another client asked for and got during one, and which one that was.

        A pause of the whole machine delays all alike, and raises only the seconds.
        """
        others = max(1, len(self.spans) - 1)
        return max(
            (sum(began < a and b < ended for spans in self.spans for a, b in spans) / others, (began, ended))
            for began, ended in self._longest(LOOKED_AT)
        )


def _seconds(span: Span) -> float:
    began, ended = span
    return ended - began
