"""Every terminal gets all that matters: without UTF-8, narrow, without colours, or a pipe that is closed."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.support.records import RECORD
from tests.support.root import ROOT
from tw_plugins.adapter.check import Check
from tw_plugins.cli import stage1_output
from tw_plugins.cli.app import app as threadweaver
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.doctor_output import show
from tw_plugins.cli.ending import NARROW, OneLineCommand
from tw_plugins.cli.eval_run import table
from tw_plugins.cli.progress import progress_bars
from tw_plugins.cli.selftrain import table as funnel_table
from tw_plugins.cli.streams import PIPE_CLOSED
from tw_plugins.data.selftrain import Funnel
from tw_plugins.data.stage1.runner import Tally
from tw_plugins.evaluation.records import write_records

RECORDS = [replace(RECORD, kind=kind, index=i) for i, kind in enumerate(("decomposable", "chain"))]
DETAIL = "not usable here (ImportError: /usr/lib/python3/dist-packages/some/extension.so): reinstall torch"


def of_encoding(encoding: str, work: Callable[[PlainConsole], Any]) -> str:
    """What a terminal of this encoding gets of a command."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    app = typer.Typer(add_completion=False)
    app.command(cls=OneLineCommand)(lambda: work(PlainConsole(width=100, color_system=None)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as ended:
            app([])
    assert ended.value.code == 0
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def everything(console: PlainConsole) -> None:
    console.print(table({"parallel": RECORDS, "autoregressive": RECORDS}))
    show([Check("verl · driver", "你好", "ok", "a → b")], console)
    console.print("5.1× (4.9–5.3) \ud800")
    console.print(stage1_output._histogram([1.5, 2.5, 2.5], 30))
    with console.working("looking"), progress_bars(console) as bars:
        bars.add_task("samples", total=2, completed=1)
    print("§ η")


def test_a_rule_without_a_title_is_one_line_of_ascii() -> None:
    """Rich's own looks for a plain character only where there is a title."""
    assert set(of_encoding("ascii", lambda console: console.rule(style="dim")).strip()) == {"-"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "iso-8859-15"])
def test_what_an_encoding_lacks_can_be_read(encoding: str) -> None:
    shown = of_encoding(encoding, everything)
    assert "decomposable" in shown and "100.0%" in shown and "+ ok" in shown and "a -> b" in shown
    assert r"\u4f60\u597d" in shown and "5.1" in shown and r"\ud800" in shown and "#" in shown
    assert ("5.1x (4.9-5.3)" in shown) == (encoding == "ascii")
    assert "eta" in shown and not set("─│╭━█") & set(shown)


def test_utf8_is_left_as_it_is() -> None:
    shown = of_encoding("utf-8", everything)
    assert all(text in shown for text in ("✓ ok", "a → b", "5.1× (4.9–5.3)", "───", "█", "§ η", "你好"))


def drawn(width: int, work: Callable[[PlainConsole], Any]) -> str:
    console = PlainConsole(width=width, file=io.StringIO(), color_system=None)
    work(console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, shown.splitlines())) <= width and "…" not in shown
    return str(shown)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_figure_and_no_name_is_cut(width: int) -> None:
    tallies = {"structure": Tally(total=12_345, accepted=12_340)}
    funnel = Funnel(123_456, 123_456, 123_400, 100_000, 90_000, 80_000, 70_000)
    shown = drawn(width, lambda console: console.print(table({"autoregressive": RECORDS})))
    assert shown.count("100.0%") + shown.count("0.0%") >= 3 and "decomposable" in shown and "40.0" in shown
    assert "123456" in drawn(width, lambda console: console.print(funnel_table(funnel)))
    assert "12345" in drawn(width, lambda console: stage1_output._finish(tallies, console))
    found = drawn(width, lambda console: show([Check("verl · driver", "a name", "fail", DETAIL)], console))
    assert "".join(DETAIL.split()) in "".join(found.split()) or width in (60, 80)
    assert "✗ fail" in found and "reinstall" in found


def test_a_narrow_table_has_a_value_on_each_line() -> None:
    shown = drawn(40, lambda console: console.print(table({"parallel": [RECORD]})))
    assert "parallel\n  n 1\n  accuracy 100.0%\n  format 100.0%\n" in shown


def test_a_bar_gives_way_to_its_figures() -> None:
    console = PlainConsole(width=40, file=io.StringIO(), color_system=None, force_terminal=True)
    with progress_bars(console) as bars:
        bars.add_task("P-GRPO, fork-join", total=12_000, completed=500)
    assert "P-GRPO, fork-join" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "500/12000" in console.file.getvalue()  # type: ignore[attr-defined]


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    yield [*path]
    for name, one in getattr(group, "commands", {}).items():
        yield from commands(one, (*path, name))


def options_in_help(command: list[str], width: int, **environment: str) -> set[str]:
    environment = {"COLUMNS": str(width), **environment}
    shown = CliRunner().invoke(threadweaver, [*command, "--help"], env=environment).output
    return set(re.findall(r"--[a-z][a-z-]+", shown))


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(threadweaver))), ids=" ".join)
def test_no_option_is_cut_in_the_help(command: list[str]) -> None:
    wide = options_in_help(command, 300)
    assert "--help" in wide
    for width in (80, NARROW):
        assert options_in_help(command, width) == wide, width
    assert options_in_help(command, 200, TTY_COMPATIBLE="1", TERM="dumb") == wide, "rich gives such a one 80"


# ---------------------------------------------------------------- real processes

COMPARE = ["-m", "tw_plugins.cli", "eval", "compare", "e", "e", "--mode-b", "parallel"]
WITH_A_BAR = """
import time, typer
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.ending import OneLineCommand
from tw_plugins.cli.progress import progress_bars

def main():
    with progress_bars(PlainConsole(force_terminal=True)) as bars:
        task = bars.add_task("work", total=100)
        for _ in range(600):
            bars.advance(task)
            time.sleep(0.1)

app = typer.Typer()
app.command(cls=OneLineCommand)(main)
app()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "e").mkdir()
    write_records([RECORD], tmp_path / "e" / "parallel.jsonl")
    return tmp_path


def started(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "40"}],
)
def test_a_real_terminal_of_each_kind(folder: Path, environment: dict[str, str]) -> None:
    out, error = started(folder, *COMPARE, **environment).communicate(timeout=60)
    assert not error and b"# Comparison" in out and b"\x1b" not in out
    assert out.isascii() == ("TERM" not in environment)


@pytest.mark.parametrize("command", ["eval run", "plan", "data check", "bench rollout"])
def test_help_is_of_the_terminals_encoding_too(folder: Path, command: str) -> None:
    """typer writes it, with a stream of its own where it can."""
    environment = {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"}
    out, error = started(folder, *COMPARE[:2], *command.split(), "--help", **environment).communicate(
        timeout=60
    )
    assert not error and b"--" in out and out.isascii()


@pytest.mark.parametrize("arguments", [COMPARE, [*COMPARE[:2], "--help"], ["-c", WITH_A_BAR]])
def test_a_closed_pipe_is_a_quiet_end(folder: Path, arguments: list[str]) -> None:
    process = started(folder, *arguments)
    assert process.stdout and process.stderr
    if "-c" in arguments:
        process.stdout.read(20)  # the bar is there
    process.stdout.close()
    assert process.wait(timeout=60) == PIPE_CLOSED
    assert process.stderr.read() == b""


def test_without_standard_output(folder: Path) -> None:
    command = f'exec "$0" {" ".join(COMPARE)} --out a.md >&-'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable],
        cwd=folder,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"") and (folder / "a.md").exists()


@pytest.mark.parametrize("arguments", [COMPARE, [*COMPARE[:2], "plan", "--help"]])
@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"}])
def test_a_full_disk_behind_standard_output(
    folder: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: the disk is full (standard output)")
    assert len(done.stderr.splitlines()) == 1
