"""The key of a row in verl's transfer queue: `{uid}_{session}_{row}` (`trainer/ppo/v1/agent_loop_tq.py`)."""

from __future__ import annotations

from typing import Any


def group_of(key: str) -> str:
    """The prompt's uid."""
    return key.rsplit("_", 2)[0]


def last_rows(keys: list[str], tags: list[dict[str, Any]]) -> list[str]:
    """The key `{uid}_{session}_{row}` of each trajectory's last row, without verl's filling rows."""
    last: dict[str, str] = {}
    for key, tag in zip(keys, tags, strict=True):
        if not tag.get("is_padding", False):
            session, row = key.rsplit("_", 1)
            if session not in last or int(last[session].rsplit("_", 1)[1]) < int(row):
                last[session] = key
    return list(last.values())
