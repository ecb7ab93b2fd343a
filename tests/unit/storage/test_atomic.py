"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tw_plugins.pages.page import write_page
from tw_plugins.storage.atomic import whole, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "old")
    with pytest.raises(OSError), whole(tmp_path / "new" / "a.txt") as unfinished:
        unfinished.write_text("half")
        raise OSError(errno.ENOSPC, "full")
    assert names(tmp_path / "new") == ["a.txt"] and (tmp_path / "new" / "a.txt").read_text() == "old"


def test_a_folder_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / ".out.unfinished").mkdir()
    (tmp_path / ".out.unfinished" / "of a killed process").touch()
    with whole(tmp_path / "out") as unfinished:
        unfinished.mkdir()
        (unfinished / "a").touch()
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["a"]


def test_a_page_on_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str, **_: str) -> None:
        with path.open("w") as file:
            file.write(text[:10])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("tw_plugins.pages.page.template", lambda *_, **__: Template)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError):
        write_page("x", tmp_path / "x.html", styles=[], scripts=[])
    assert names(tmp_path) == []


class Template:
    @staticmethod
    def render(**_: object) -> str:
        return "a page of text"
