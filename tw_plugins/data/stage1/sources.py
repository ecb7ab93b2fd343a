"""The records that a step begins with: accepted ones, each with an id, and lines that are no record."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tw_plugins.data.stage1.runs import digest
from tw_plugins.datasets.columns import USUAL
from tw_plugins.datasets.examples import example_with_response
from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.datasets.references import published, reference_of
from tw_plugins.datasets.rows import Row, read_rows
from tw_plugins.storage.jsonl import InputError, Record
from tw_plugins.storage.parquet import DataFileError
from tw_plugins.verifiers.names import MATH

__all__ = ["records_of"]


def records_of(source: Path, verifier: str = MATH) -> list[Record]:
    """Records of a file that no step before rejected; a line without one is a rejected record itself.

    A record without an id gets one from its prompt and response, so that it is the same wherever it stands.

    Args:
        verifier: which says what an `answer` may be.

    Raises:
        DataFileError: there is no `source`, or it cannot be read.
        InputError: two records have one id.
    """
    records: list[Record] = []
    seen: set[str] = set()
    copies: Counter[str] = Counter()
    for place, row in enumerate(read_rows(source), 1):
        if isinstance(row, Hole):
            records.append(_rejected({"id": f"line-{place}"}, "unreadable_line", f"{row.reason}: {row}"))
        elif row.columns.get("status") == "rejected":
            continue
        else:
            records.append(_as_read({**row.columns, "id": _name(row.columns, copies)}, row.where, verifier))
        if records[-1]["id"] in seen:
            raise InputError(f"{source} has two records of the id {records[-1]['id']!r}: give each its own")
        seen.add(records[-1]["id"])
    return records


def _name(columns: Record, copies: Counter[str]) -> str:
    if columns.get("id") is not None:
        return str(columns["id"])
    name = f"trace-{digest([columns.get('prompt'), columns.get('response')])}"
    copies[name] += 1
    return name if copies[name] == 1 else f"{name}-{copies[name]}"


def _as_read(record: Record, where: str, verifier: str) -> Record:
    """A published trace with the columns that the steps read; what a step wrote has them."""
    try:
        text = json.dumps(record, ensure_ascii=False, default=str)  # Parquet has dates and bytes
        text.encode()
    except UnicodeEncodeError:
        why = f"{where}: it has half of a surrogate pair, which is no character"
        return _rejected(record, "not_text", why)
    record = json.loads(text)
    if "status" in record:
        return record
    try:
        example = example_with_response(Row(where, record), USUAL)
        read = reference_of if verifier == MATH else published
        answer = {"answer": read(record["answer"])} if record.get("answer") is not None else {}
    except DataFileError:
        return record  # the step says which column it lacks
    except BadRow as bad:
        return _rejected(record, "unreadable_row", f"{where}: {bad}")
    return {**record, "prompt": example.messages, "response": example.target, **answer}


def _rejected(record: Record, reason: str, detail: str) -> Record:
    return {**record, "status": "rejected", "reason": reason, "detail": detail}
