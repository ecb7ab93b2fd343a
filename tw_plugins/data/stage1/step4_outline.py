"""Step 4: each block gets its outlines, plans that give no result away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from tw_plugins.data.stage1.answer_json import Malformed, json_in, plain
from tw_plugins.data.stage1.endpoint import Chat
from tw_plugins.data.stage1.leaks import leaks
from tw_plugins.data.stage1.questions import ask_until, prompt
from tw_plugins.data.stage1.traces import column, problem_of, text_of
from tw_plugins.storage.jsonl import Record

__all__ = ["outline", "read_outlines"]

SHARED_LINES = 50


async def outline(record: Record, chat: Chat, attempts: int) -> Record:
    """The record with `outlines` in every block.

    Raises:
        Rejected: wrong count or numbers, or a result that only a thread knows, in every attempt.
    """
    problem = problem_of(record)
    parts: list[Any] = []
    for part in column(record, "parts", "extract"):
        if not isinstance(part, str):
            before = text_of(parts)
            shared, threads = f"{problem}\n{before}", part["threads"]
            shown = "\n".join(before.splitlines()[-SHARED_LINES:])
            asked = prompt("outline", problem=problem, before=shown, threads=threads)
            read = partial(read_outlines, threads=threads, shared=shared)
            outlines = await ask_until(chat, asked, read, attempts)
            part = {**part, "outlines": outlines}
        parts.append(part)
    return {**record, "parts": parts}


def read_outlines(answer: str, threads: Sequence[str], shared: str) -> list[str]:
    """The outlines of an answer, one line each.

    Args:
        shared: everything before the block, the problem included.

    Raises:
        Malformed: not the JSON asked for, another count or numbers, a control character, an empty one, or
            a leak.
    """
    data = json_in(answer)
    entries = data.get("outlines") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Malformed('it is no object with a list "outlines"')
    if [entry.get("number") for entry in entries] != list(range(1, len(threads) + 1)):
        raise Malformed(f"there must be {len(threads)} outlines, numbered from 1 in order", "wrong_outlines")
    outlines = [" ".join(plain(str(entry.get("text") or "")).split()) for entry in entries]
    outlines = [_unnumbered(text, number) for number, text in enumerate(outlines, 1)]
    for number, text in enumerate(outlines, 1):
        if not text:
            raise Malformed(f"outline {number} is empty", "wrong_outlines")
        if found := leaks(text, threads, shared):
            raise Malformed(f"outline {number} gives away {found[0]!r}, which only a piece finds", "leak")
    return outlines


def _unnumbered(text: str, number: int) -> str:
    """The text without the number that its tag will have."""
    return re.sub(rf"^(?:outline\s*)?\(?{number}(?:\s*:|[.)]\)?(?=\s))\s*", "", text, flags=re.IGNORECASE)
