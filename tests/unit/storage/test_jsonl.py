"""Files of records that a process may be killed at."""

from __future__ import annotations

from pathlib import Path

from tw_plugins.storage.jsonl import append, numbered, salvaged, write


def test_a_killed_process_leaves_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "records.jsonl"
    assert salvaged(path) == []
    append({"n": 1}, path)
    append({"n": "half of a pair: \ud83d"}, path)
    with path.open("a") as file:
        file.write('{"n": 3')
    whole = [(1, {"n": 1}), (2, {"n": "half of a pair: \ud83d"})]
    assert salvaged(path) == whole == list(numbered(path))
    append({"n": 4}, path)
    assert salvaged(path)[2:] == [(3, {"n": 4})]


def test_a_line_that_is_no_record_says_why(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write([{}], path)
    with path.open("a") as file:
        file.write("\n[1]\nno JSON\n" + "[" * 100_000 + "\n")
    assert salvaged(path) == [
        (1, {}),
        (3, "a list, not an object"),
        (4, "not a whole JSON record (Expecting value)"),
        (5, "not a whole JSON record (RecursionError)"),
    ]
