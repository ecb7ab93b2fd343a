"""Files of others: what is none is said before it is opened, and every error has the path that was given."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tw_plugins.storage.atomic import whole, write_text
from tw_plugins.storage.files import FileError, check_target, is_there, naming, read_text, same
from tw_plugins.storage.jsonl import append, is_text


def test_a_pipe_is_neither_read_nor_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for use in (read_text, check_target, lambda path: write_text(path, "x"), lambda path: append({}, path)):
        with pytest.raises(FileError, match="pipe is a pipe, no file: give a file"):
            use(pipe)
    assert pipe.is_fifo()


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, loop = tmp_path / "link", tmp_path / "loop"
    link.symlink_to("new/there.txt")
    write_text(link, "a")
    assert link.is_symlink() and (tmp_path / "new" / "there.txt").read_text() == "a"
    loop.symlink_to(loop)
    with pytest.raises(OSError) as error:
        write_text(loop, "a")
    assert (error.value.errno, error.value.filename) == (errno.ELOOP, str(loop)) and loop.is_symlink()


def test_an_error_names_what_was_given(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OSError) as full, whole(path):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(OSError) as inside, whole(path) as unfinished:
        raise OSError(errno.EACCES, "no", str(unfinished / "part"))
    with pytest.raises(OSError) as other, naming(path):
        raise OSError(errno.EACCES, "no", "/another")
    with pytest.raises(OSError, match="without a number"), naming(path):
        raise OSError("without a number")
    assert [error.value.filename for error in (full, inside, other)] == [
        str(path),
        f"{path}/part",
        "/another",
    ]


def test_only_nothing_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_there(tmp_path / "file") and not is_there(tmp_path / "none")
    with pytest.raises(NotADirectoryError):
        is_there(tmp_path / "file" / "below")
    assert same(tmp_path / "none", tmp_path / "x" / ".." / "none") and not same(tmp_path, tmp_path / "x")


def test_half_of_a_surrogate_pair_is_written_as_it_can_be(tmp_path: Path) -> None:
    write_text(tmp_path / "a.html", "\ud800 ü")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "\\ud800 ü"
    assert is_text({"a": "ü\n👩"}) and not is_text({"a": ["\udcff"]})
