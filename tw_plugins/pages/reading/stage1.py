"""Records of `data stage1`, of any of its five steps, as trajectories; rejected ones with their reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tw_plugins.pages.reading.trajectory import Viewed, prompt_of

__all__ = ["KEYS", "viewed_record"]

Record = Mapping[str, Any]
KEYS = ("id", "status")

UNFINISHED = "The threads have no outlines yet: step 4 writes them."
SEQUENTIAL = (
    "The text is still the sequential one; the lines that step 1 found to be parallel are named below it."
)


def viewed_record(record: Record, source: str, line: int) -> Viewed:
    """A record as its step left it: its parts with their control tags, else its response.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is not as stage 1 writes it.
    """
    if record["status"] not in ("ok", "rejected"):
        raise ValueError(f"status is {record['status']!r}, not ok or rejected")
    prompt, messages = prompt_of(record.get("prompt", ""))
    parts, groups, answer = record.get("parts"), record.get("groups") or (), record.get("answer")
    unfinished = any(not isinstance(part, str) and "outlines" not in part for part in parts or ())
    return Viewed(
        form="stage 1",
        source=source,
        line=line,
        prompt=prompt,
        text=str(record.get("response", ""))
        if parts is None
        else _text(parts, str(record.get("output", ""))),
        messages=messages,
        answer="" if answer is None else str(answer),
        well_formed=True if unfinished else None,
        rejected=str(record["reason"]) if record["status"] == "rejected" else "",
        detail=str(record.get("detail", "")),
        note=UNFINISHED if unfinished else SEQUENTIAL if groups else "",
        more={"id": str(record["id"]), **_lines(groups)},
    )


def _text(parts: Sequence[str | Mapping[str, Any]], output: str) -> str:
    """Parts of a record as text with control tags, outlines where they are there."""
    lines = ["<think>"]
    for part in parts:
        if isinstance(part, str):
            lines.append(part)
            continue
        outlines = (f"<Outline>{at}: {text}</Outline>" for at, text in enumerate(part.get("outlines", ()), 1))
        threads = (f"<Thread>\n{at}: {text}\n</Thread>" for at, text in enumerate(part["threads"], 1))
        lines += ["<Parallel>", "<Outlines>", *outlines, "</Outlines>", "".join(threads), "</Parallel>"]
    return "\n".join([*lines, f"</think>{output}"])


def _lines(groups: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """The blocks that step 1 found: titles and lines of their threads."""
    return {
        f"block {number}:": ", ".join(f"{one['title']} (lines {one['first']}–{one['last']})" for one in group)
        for number, group in enumerate(groups, 1)
    }
