"""Labelled pairs of answer and reference, as `pairs/*.txt` and `policy.txt` hold them.

## kind
# the public case that the next pairs stand for
answer == reference
answer != reference
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_PAIR = re.compile(r"(.+) (==|!=) (.+)")


@dataclass(frozen=True)
class Pair:
    """``equal``: what a teacher would say; ``case``: where such a pair is known from."""

    kind: str
    case: str
    answer: str
    reference: str
    equal: bool


def pairs() -> list[Pair]:
    """Those that are no matter of policy."""
    return [pair for path in sorted((FOLDER / "pairs").glob("*.txt")) for pair in _read(path)]


def policy() -> list[Pair]:
    """One or more pairs of each row of the policy (docs/grading.md); the kind is the row's name."""
    return list(_read(FOLDER / "policy.txt"))


def _read(path: Path) -> Iterator[Pair]:
    kind = case = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            kind, case = line[3:], ""
        elif line.startswith("# "):
            case = line[2:]
        elif line.strip():
            match = _PAIR.fullmatch(line)
            assert match and kind and case, f"{path.name}:{number}: no pair, or of no kind or case: {line}"
            yield Pair(kind, case, match[1].strip(), match[3].strip(), match[2] == "==")
