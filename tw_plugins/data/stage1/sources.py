"""The records that a step begins with: accepted ones, each with an id, and lines that are no record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tw_plugins.data.stage1.runs import digest
from tw_plugins.storage.jsonl import InputError, Record, is_text, numbered

__all__ = ["records_of"]


def records_of(source: Path) -> list[Record]:
    """Records of a file that no step before rejected; a line without one is a rejected record itself.

    A record without an id gets one from its prompt and response, so that it is the same wherever it stands.

    Raises:
        FileNotFoundError: there is no `source`.
        InputError: two records have one id.
    """
    records: list[Record] = []
    seen: set[str] = set()
    copies: Counter[str] = Counter()
    for number, record in numbered(source):
        where = f"{source.name}, line {number}"
        if isinstance(record, str):
            records.append(_rejected({"id": f"line-{number}"}, "unreadable_line", f"{where}: {record}"))
        elif record.get("status") == "rejected":
            continue
        elif record.get("id") is None:
            name = f"trace-{digest([record.get('prompt'), record.get('response')])}"
            copies[name] += 1
            records.append({**record, "id": name if copies[name] == 1 else f"{name}-{copies[name]}"})
        else:
            records.append({**record, "id": str(record["id"])})
        if records[-1]["id"] in seen:
            raise InputError(f"{source} has two records of the id {records[-1]['id']!r}: give each its own")
        seen.add(records[-1]["id"])
        if not is_text(records[-1]):
            why = f"{where}: it has half of a surrogate pair, which is no character"
            records[-1] = _rejected(records[-1], "not_text", why)
    return records


def _rejected(record: Record, reason: str, detail: str) -> Record:
    return {**record, "status": "rejected", "reason": reason, "detail": detail}
