"""Stages run once, go on where they stopped, and run again when settings or an earlier stage changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tw_plugins.pipeline.stages import BEGUN, Pipeline, Stage


def _stages(calls: list[str], fail: str = "", resumable: str = "") -> list[Stage]:
    def stage(name: str) -> Stage:
        def run(folder: Path) -> None:
            if name != resumable:
                assert [path.name for path in folder.iterdir()] == [BEGUN]
            (folder / "half").open("a").write("half ")
            calls.append(name)
            if name == fail:
                raise RuntimeError(name)

        return Stage(name, name, run, resumable=name == resumable)

    return [stage("one"), stage("two"), stage("three")]


def _pipeline(folder: Path, one: str = "a", two: str = "a") -> Pipeline:
    """Stage three depends on what two depends on."""
    return Pipeline(folder, {"one": one, "two": two, "three": two}, Console(quiet=True))


def test_second_run_does_nothing(tmp_path: Path) -> None:
    calls: list[str] = []
    first = _pipeline(tmp_path).run(_stages(calls))
    assert _pipeline(tmp_path).run(_stages(calls)) == first
    assert calls == ["one", "two", "three"]


def test_stopped_run_goes_on_at_the_stage_that_failed_with_an_empty_folder(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(RuntimeError):
        _pipeline(tmp_path).run(_stages(calls, fail="two"))
    _pipeline(tmp_path).run(_stages(calls))
    assert calls == ["one", "two", "two", "three"]


def test_other_settings_run_again_what_depends_on_them(tmp_path: Path) -> None:
    calls: list[str] = []
    _pipeline(tmp_path).run(_stages(calls))
    _pipeline(tmp_path, two="b").run(_stages(calls))
    assert calls == ["one", "two", "three", "two", "three"]
    _pipeline(tmp_path, "b", "b").run(_stages(calls))
    assert calls[5:] == ["one", "two", "three"]


def test_stages_after_one_that_ran_again_run_again(tmp_path: Path) -> None:
    calls: list[str] = []
    _pipeline(tmp_path).run(_stages(calls))
    (tmp_path / "two" / "done.json").unlink()
    _pipeline(tmp_path).run(_stages(calls))
    assert calls == ["one", "two", "three", "two", "three"]


def test_a_resumable_stage_finds_what_it_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _pipeline(tmp_path).run(_stages([], fail="two", resumable="two"))
    _pipeline(tmp_path).run(_stages([], resumable="two"))
    assert (tmp_path / "two" / "half").read_text() == "half half "


@pytest.mark.parametrize("change", ["settings", "stage before"])
def test_but_not_what_it_left_of_another_run(tmp_path: Path, change: str) -> None:
    with pytest.raises(RuntimeError):
        _pipeline(tmp_path).run(_stages([], fail="two", resumable="two"))
    if change == "stage before":
        (tmp_path / "one" / "done.json").unlink()
    _pipeline(tmp_path, two="b" if change == "settings" else "a").run(_stages([], resumable="two"))
    assert (tmp_path / "two" / "half").read_text() == "half "
