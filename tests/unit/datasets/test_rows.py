"""Rows of every form that data is published in, none lost, each with its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tw_plugins.datasets.holes import Hole
from tw_plugins.datasets.rows import Row, read_rows
from tw_plugins.storage.parquet import DataFileError

ROWS = [{"question": f"{i}?", "answer": i} for i in range(3)]


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(path: Path, rows: list[Any]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def arrow(path: Path, rows: list[Any]) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


WAYS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: path.write_bytes(lines(ROWS)),
    "a.ndjson": lambda path: path.write_bytes(b"\n" + lines(ROWS).replace(b"\n", b"\r\n\n")),
    "a.JSONL": lambda path: path.write_bytes(b"\xef\xbb\xbf" + lines(ROWS).rstrip()),
    "lines.json": lambda path: path.write_bytes(lines(ROWS)),
    "array.json": lambda path: path.write_text(json.dumps(ROWS, indent=2)),
    "bom.json": lambda path: path.write_bytes(b"\xef\xbb\xbf " + json.dumps(ROWS).encode()),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines(ROWS))),
    "a.json.gz": lambda path: path.write_bytes(gzip.compress(json.dumps(ROWS).encode())),
    "a.parquet": lambda path: parquet(path, ROWS),
    "a.csv": lambda path: path.write_text("question,answer\n0?,0\n1?,1\n2?,2\n"),
    "a.tsv": lambda path: path.write_text("question\tanswer\n0?\t0\n1?\t1\n2?\t2\n"),
    "a.arrow": lambda path: arrow(path, ROWS),
}


@pytest.mark.parametrize("name", WAYS)
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WAYS[name](path)
    rows = list(read_rows(path))
    written = [{**row, "answer": str(row["answer"])} for row in ROWS] if name[-2:] == "sv" else ROWS
    assert [row.columns for row in rows if isinstance(row, Row)] == written
    assert len({row.where for row in rows}) == 3 and all(name in row.where for row in rows)


def test_a_folder_is_its_shards_of_the_split(tmp_path: Path) -> None:
    for part in range(3):
        parquet(tmp_path / f"train-0000{part}-of-00003.parquet", ROWS[part : part + 1])
    parquet(tmp_path / "test-00000-of-00001.parquet", ROWS[:1])
    (tmp_path / "README.md").write_text("about")
    assert [row.columns for row in read_rows(tmp_path) if isinstance(row, Row)] == ROWS
    assert len(list(read_rows(tmp_path, "test"))) == 1
    with pytest.raises(DataFileError, match="no file of the split dev: give one of its files, as test-00000"):
        list(read_rows(tmp_path, "dev"))


def test_a_folder_that_was_saved(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    DatasetDict({"test": Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "several")
    assert [row.columns for row in read_rows(tmp_path / "one") if isinstance(row, Row)] == ROWS
    assert len(list(read_rows(tmp_path / "several", "test"))) == 3
    with pytest.raises(DataFileError, match="has no split train; it has test: give one of these"):
        list(read_rows(tmp_path / "several"))


def halved(kind: Any, value: Any) -> Any:
    """pyarrow makes 16 bits of NumPy's alone."""
    if isinstance(value, list):
        return [halved(kind.value_type, one) for one in value]
    if isinstance(value, dict):
        return {name: halved(kind.field(name).type, one) for name, one in value.items()}
    return np.float16(value) if kind == pa.float16() else value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.float32(), 0.1), (pa.float16(), 0.1), (pa.float64(), 0.1), (pa.float32(), 1e20),
        (pa.list_(pa.float32()), [0.1, None]), (pa.struct([("a", pa.float32())]), {"a": 0.1}),
        (pa.large_list(pa.struct([("a", pa.float16()), ("b", pa.string())])), [{"a": 0.7, "b": "x"}]),
        (pa.float32(), None), (pa.decimal128(3, 2), None),
    ],
)  # fmt: skip
def test_numbers_of_tables_are_as_they_were_written(tmp_path: Path, kind: Any, value: Any) -> None:
    """0.1 of 32 bits is 0.10000000149011612 as Python reads it."""
    table = pa.table({"answer": pa.array([halved(kind, value)], kind), "question": ["0?"]})
    pq.write_table(table, tmp_path / "a.parquet")
    (row,) = read_rows(tmp_path / "a.parquet")
    assert row == Row(f"{tmp_path}/a.parquet, row 0", {"answer": value, "question": "0?"})


def test_a_saved_data_set_has_its_numbers_too(tmp_path: Path) -> None:
    from datasets import Dataset, Features, Value

    features = Features({"question": Value("string"), "answer": Value("float32")})
    Dataset.from_list([{"question": "0?", "answer": 0.1}], features=features).save_to_disk(tmp_path / "one")
    (row,) = read_rows(tmp_path / "one")
    assert isinstance(row, Row) and row.columns["answer"] == 0.1


def test_a_name_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*names: Any, **more: Any) -> list[dict[str, Any]]:
        asked.append((*names, *more.values()))
        return ROWS

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    for source in ("owner/name", "owner/name:test", "owner/name@main:test"):
        assert len(list(read_rows(source))) == 3
    assert asked == [
        ("owner/name", None, "train"),
        ("owner/name", None, "test"),
        ("owner/name", "main", "test"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"question": "1?"', "not a whole JSON record"),
        (b"[1, 2]", "not an object of columns"),
        (b'"text"', "not an object of columns"),
        (b'{"question": "\xff"}', "not UTF-8"),
        (b"[" * 200_000, "not a whole JSON record"),
        (b'{"question": "1?", "answer": 1, "answer": 2}', "a name stands twice"),
        (b'{"question": [{"role": "user", "content": "1", "content": "2"}]}', "a name stands twice"),
    ],
)
def test_a_line_that_is_no_row_is_a_hole_in_its_place(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(ROWS[:1]) + line + b"\n" + lines(ROWS[1:]))
    first, hole, *rest = read_rows(path)
    assert isinstance(hole, Hole) and hole.reason == reason and hole.where == f"{path}, line 2"
    assert [first.where, *(row.where for row in rest)] == [f"{path}, line {line}" for line in (1, 3, 4)]


def test_an_item_of_an_array_that_is_no_row_is_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ROWS[0], None, ROWS[1]]))
    assert [isinstance(row, Hole) for row in read_rows(path)] == [False, True, False]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[{}, ", "cannot be read as JSON"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n', mtime=0)[:-6], "is no whole gzip file"),
        ("a.jsonl.gz", b'{"a": 1}\n', "is no whole gzip file"),
        ("a.json", b'[{"a": 1, "a": 2}]', "cannot be read as JSON: 'a' stands twice"),
        ("a.csv", b"a,b,a\n1,2,3\n", "has two columns 'a': give each a name of its own"),
        ("a.jsonl", '{"a": 1}\n'.encode("utf-16"), "is UTF-16: write it as UTF-8"),
        ("a.jsonl", '{"a": 1}\n'.encode("utf-16-le"), "is UTF-16-LE: write it as UTF-8"),
        ("a.json", '[{"a": 1}]'.encode("utf-32"), "is UTF-32: write it as UTF-8"),
        ("a.jsonl.gz", gzip.compress('{"a": 1}\n'.encode("utf-16"), mtime=0), "is UTF-16: write it as UTF-8"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16: write it as UTF-8"),
        ("a.xlsx", b"", r"rows are read from \.jsonl, "),
        ("a", b"{}", r"rows are read from \.jsonl, "),
    ],
)
def test_a_file_that_is_not_what_it_is_called(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=message) as error:
        list(read_rows(tmp_path / name))
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "source", ["/nowhere/a.jsonl", "nowhere.parquet", "./nowhere", "~/nowhere/x", "nowhere"]
)
def test_what_is_not_there(source: str) -> None:
    with pytest.raises(DataFileError, match="is no file or folder: check the path"):
        list(read_rows(source))


@pytest.mark.parametrize("source", ["", " "])
def test_a_file_without_a_name_is_not_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "train.jsonl").write_bytes(lines(ROWS))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFileError, match="a file of rows has no name: give one"):
        list(read_rows(source))


def test_a_name_that_stands_twice_with_one_value_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "0?", "answer": 0, "answer": 0}\n')
    assert [row.columns for row in read_rows(tmp_path / "a.jsonl") if isinstance(row, Row)] == ROWS[:1]


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["0?"]), pa.array([1]), pa.array([2])], ["question", "a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataFileError, match=r"a\.parquet has two columns 'a': give each a name of its own"):
        list(read_rows(tmp_path / "a.parquet"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_is_what_is_written_in_it(tmp_path: Path, packed: bool) -> None:
    """Types are not guessed, no text is taken for nothing, and a row of other fields moves no column."""
    text = (
        '\ufeffquestion,answer\r\n"a\nb, ""c""",12345678901234567\r\nNA,0.10\r\nd,\r\n\r\ne\r\nf,1,2\r\n'
        f"{'g' * 200_000},007\r\n"
    ).encode() + b"\xe9,1\r\n"
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    rows = list(read_rows(path))
    assert [tuple(row.columns.values()) for row in rows if isinstance(row, Row)] == [
        *[('a\nb, "c"', "12345678901234567"), ("NA", "0.10"), ("d", ""), ("g" * 200_000, "007")]
    ]
    holes = [(row.where.rpartition(" ")[2], row.reason) for row in rows if isinstance(row, Hole)]
    assert holes == [(number, "not as many fields as columns") for number in "34"] + [("6", "not UTF-8")]


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    assert list(read_rows(tmp_path / "a.csv")) == []
