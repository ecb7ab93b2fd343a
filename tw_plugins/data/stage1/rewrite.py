"""Step 3: threads lose what leans on their siblings, by the smallest edits that the model can name."""

from __future__ import annotations

from functools import partial
from typing import Any

from tw_plugins.data.stage1.answer_json import Malformed, json_in, plain
from tw_plugins.data.stage1.answers import ask_until, prompt
from tw_plugins.data.stage1.chat import Chat
from tw_plugins.data.stage1.jsonl import Record
from tw_plugins.data.stage1.traces import column, text_of

__all__ = ["apply_edits", "rewrite"]

ALLOWED_LINES = 5


async def rewrite(record: Record, chat: Chat, attempts: int, min_left: float) -> Record:
    """The record with every thread but each block's first rewritten.

    The model sees the lines before the block, and all siblings as what must not be used.

    Args:
        min_left: share of a thread that edits must leave.

    Raises:
        Rejected: no answer could be read, or all deleted too much.
    """
    parts: list[Any] = []
    for part in column(record, "parts", "extract"):
        if isinstance(part, str):
            parts.append(part)
            continue
        before = "\n".join(text_of(parts).splitlines()[-ALLOWED_LINES:])
        threads = part["threads"]
        done = [threads[0]]
        for number, thread in enumerate(threads[1:], 1):
            siblings = [*threads[:number], *threads[number + 1 :]]
            asked = prompt("rewrite", before=before, siblings=siblings, thread=thread)
            read = partial(apply_edits, thread=thread, min_left=min_left)
            done.append(await ask_until(chat, asked, read, attempts))
        parts.append({**part, "threads": done})
    return {**record, "parts": parts}


def apply_edits(answer: str, thread: str, min_left: float) -> str:
    """The thread after the edits of an answer; each source must occur exactly once, whatever came before it.

    Raises:
        Malformed: not a list of edits, a source that occurs never or several times, edits that touch one
            another, a control character that the thread has not, or too little is left.
    """
    edits = json_in(answer)
    if not isinstance(edits, list):
        raise Malformed("it is no list of edits")
    places: list[tuple[int, int, str]] = []
    for edit in edits:
        source = edit.get("source") if isinstance(edit, dict) else None
        replacement = edit.get("replacement") if isinstance(edit, dict) else None
        if not isinstance(source, str) or not source or not isinstance(replacement, str):
            raise Malformed("an edit needs source and replacement, both text")
        if (times := thread.count(source)) != 1:
            raise Malformed(
                f"the source {source[:60]!r} occurs {times} times in the piece, it must occur once"
            )
        places.append((thread.index(source), len(source), plain(replacement, allowed=thread)))
    edited, end = [], 0
    for start, length, replacement in sorted(places):
        if start < end:
            raise Malformed("two edits change the same text")
        edited += [thread[end:start], replacement]
        end = start + length
    result = "".join([*edited, thread[end:]])
    if len(result) < min_left * len(thread):
        raise Malformed(
            f"{len(result)} of {len(thread)} characters would be left, at least {min_left:.0%} must be",
            code="edits_delete_too_much",
        )
    return result
