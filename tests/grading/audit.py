"""How often a grader is wrong on labelled pairs, by kind: unpaid though right, paid though wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.grading.pairs import Pair

Grader = Callable[[str, str], bool]


@dataclass(frozen=True)
class Verdict:
    """What a grader said of a pair."""

    pair: Pair
    said: bool

    @property
    def wrong(self) -> bool:
        return self.said is not self.pair.equal

    def __str__(self) -> str:
        said = "unpaid" if self.pair.equal else "paid"
        return (
            f"{said}: {self.pair.answer}  for  {self.pair.reference}   ({self.pair.kind}; {self.pair.case})"
        )


@dataclass(frozen=True)
class Share:
    """Wrong verdicts of all that were possible."""

    wrong: int
    of: int

    def __str__(self) -> str:
        return f"{self.wrong}/{self.of}" if self.of else "-"


def grade(grader: Grader, pairs: Iterable[Pair]) -> tuple[list[Verdict], float]:
    """The verdicts, and the seconds that they took."""
    started = time.perf_counter()
    verdicts = [Verdict(pair, grader(pair.answer, pair.reference)) for pair in pairs]
    return verdicts, time.perf_counter() - started


def share(verdicts: Iterable[Verdict], equal: bool) -> Share:
    """False negatives (``equal``) or false positives."""
    asked = [verdict for verdict in verdicts if verdict.pair.equal is equal]
    return Share(sum(verdict.wrong for verdict in asked), len(asked))


def table(graders: dict[str, Sequence[Verdict]]) -> str:
    """Kinds × graders, false negatives and false positives of each."""
    first = next(iter(graders.values()))
    kinds = [*dict.fromkeys(verdict.pair.kind for verdict in first), "all"]
    head = f"{'':34}" + "".join(f"{name:>22}" for name in graders)
    lines = [head, f"{'':34}" + f"{'unpaid':>13}{'paid':>9}" * len(graders)]
    for kind in kinds:
        cells = ""
        for verdicts in graders.values():
            of_kind = [verdict for verdict in verdicts if kind in (verdict.pair.kind, "all")]
            cells += f"{share(of_kind, True)!s:>13}{share(of_kind, False)!s:>9}"
        lines.append(f"{kind:34}{cells}")
    return "\n".join(lines)
