"""Progress where nothing can move: plain lines, few of them."""

from __future__ import annotations

import io

import pytest

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.progress import progress_bars


def shown(total: int | None, *completed: int, **terminal: object) -> list[str]:
    """Of a task: every word of a line but the time."""
    console = PlainConsole(file=io.StringIO(), width=100, **terminal)
    with progress_bars(console) as bars:
        task = bars.add_task("P-GRPO, fork-join", total=total)
        for count in completed:
            bars.update(task, completed=count)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line.rpartition(" ")[0] for line in lines]


def test_a_long_task_is_a_line_for_each_tenth() -> None:
    lines = shown(1000, *range(1001))
    assert lines == [f"P-GRPO, fork-join {count}/1000" for count in range(100, 1001, 100)]


def test_a_line_is_there_as_soon_as_its_tenth_is_done() -> None:
    console = PlainConsole(file=io.StringIO(), width=100)
    with progress_bars(console) as bars:
        task = bars.add_task("SFT", total=20)
        bars.advance(task)
        assert console.file.getvalue() == ""  # type: ignore[attr-defined]
        bars.advance(task)
        assert console.file.getvalue() == "SFT 2/20 0:00:00\n"  # type: ignore[attr-defined]


def test_steps_fewer_than_ten_are_a_line_each() -> None:
    assert shown(3, 0, 1, 1, 2, 3) == [f"P-GRPO, fork-join {count}/3" for count in (1, 2, 3)]


def test_what_was_done_since_the_last_line_is_said_in_the_end() -> None:
    assert shown(1000, 150, 199) == ["P-GRPO, fork-join 150/1000", "P-GRPO, fork-join 199/1000"]


def test_an_unknown_number_is_a_line_whenever_it_has_doubled() -> None:
    lines = shown(None, *range(101))
    assert lines == [f"P-GRPO, fork-join {count}/?" for count in (1, 2, 4, 8, 16, 32, 64, 100)]


def test_nothing_done_is_nothing_said() -> None:
    assert shown(10) == []


@pytest.mark.parametrize("dumb", [False, True])
def test_a_terminal_that_can_move_has_a_bar(dumb: bool) -> None:
    terminal = {"_environ": {"TERM": "dumb" if dumb else "xterm"}, "force_terminal": True}
    assert any("━" in line for line in shown(10, 5, color_system=None, **terminal)) != dumb
