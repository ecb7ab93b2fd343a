"""Parquet files are written whole. (What `check_columns` refuses: the adapters' tests of preflight.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tw_plugins.storage.parquet import write_parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
ROWS = [{"prompt": [{"role": "user", "content": "1+1"}], "label": "2"}, {"prompt": [], "label": "3"}]


def test_a_file_holds_its_rows_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "test.parquet"
    write_parquet(iter(ROWS), path)
    assert pq.read_table(path).to_pylist() == ROWS
    write_parquet(pq.read_table(path).slice(1), path)
    assert pq.read_table(path).to_pylist() == ROWS[1:]


def test_what_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "test.parquet"
    write_parquet(ROWS, path)

    def fails(table: object, where: Any) -> None:
        where.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fails)
    with pytest.raises(OSError, match="disk full"):
        write_parquet(ROWS[:1], path)
    assert pq.read_table(path).to_pylist() == ROWS and list(tmp_path.iterdir()) == [path]
