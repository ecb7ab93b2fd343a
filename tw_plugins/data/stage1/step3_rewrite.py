"""Step 3: threads lose what leans on their siblings, by the smallest edits that the model can name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tw_plugins.data.stage1.answer_json import Malformed, json_in, plain
from tw_plugins.data.stage1.endpoint import Chat
from tw_plugins.data.stage1.leaks import leaks
from tw_plugins.data.stage1.questions import ask_until, prompt
from tw_plugins.data.stage1.traces import column, problem_of, text_of
from tw_plugins.storage.jsonl import Record

__all__ = ["apply_edits", "rewrite"]

ALLOWED_LINES = 5
GROWTH, SPARE = 1.5, 200  # a thread grows to so many times its length, and so many characters more


async def rewrite(record: Record, chat: Chat, attempts: int, min_left: float) -> Record:
    """The record with every thread but each block's first rewritten.

    The model sees the problem, the lines before the block, and all siblings as what must not be used.

    Args:
        min_left: share of a thread that edits must leave.

    Raises:
        Rejected: no answer could be read, or all deleted too much.
    """
    problem = problem_of(record)
    parts: list[Any] = []
    for part in column(record, "parts", "extract"):
        if isinstance(part, str):
            parts.append(part)
            continue
        whole = text_of(parts)
        before = "\n".join(whole.splitlines()[-ALLOWED_LINES:])
        threads = part["threads"]
        done = [threads[0]]
        for number, thread in enumerate(threads[1:], 1):
            siblings = [*threads[:number], *threads[number + 1 :]]
            asked = prompt("rewrite", problem=problem, before=before, siblings=siblings, thread=thread)
            shared = f"{problem}\n{whole}"
            read = partial(apply_edits, thread=thread, min_left=min_left, siblings=siblings, shared=shared)
            done.append(await ask_until(chat, asked, read, attempts))
        parts.append({**part, "threads": done})
    return {**record, "parts": parts}


def apply_edits(
    answer: str, thread: str, min_left: float, siblings: Sequence[str] = (), shared: str = ""
) -> str:
    """The thread after the edits of an answer; each source must occur exactly once, whatever came before it.

    Args:
        siblings: threads whose results must not come in.
        shared: everything before the block, the problem included.

    Raises:
        Malformed: not a list of edits, a source that occurs never or several times, edits that touch one
            another, a control character that the thread has not, a sibling's result that comes in, or too
            little or too much is left.
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
        if found := leaks(replacement, siblings, shared, own=thread):
            raise Malformed(f"a replacement has {found[0]!r}, which only a sibling finds", "sibling_result")
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
    if len(result) > GROWTH * len(thread) + SPARE:
        raise Malformed(
            f"the piece would grow from {len(thread)} to {len(result)} characters: change only what leans on "
            "a sibling",
            code="edits_add_too_much",
        )
    return result
