"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "fail"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        section: where, e.g. "verl · driver".
        name: what.
        status: "fail" makes the machine unfit, "note" is worth knowing.
        detail: what was found; for a failure, what to do.
        seam: a place of a framework where ours stands; those that are sound are of interest to few.
    """

    section: str
    name: str
    status: Status
    detail: str
    seam: bool = False


def first_line(error: BaseException) -> str:
    """Kind and first line of an error, for a detail."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:300]}" if text else type(error).__name__
