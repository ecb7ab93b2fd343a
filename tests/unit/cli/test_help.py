"""What people type first: `--version`, `-h`, the tab key; and each command's help ends with one to paste."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import tw_plugins
from tw_plugins.cli.app import app
from tw_plugins.cli.ending import NARROW
from tw_plugins.cli.own_commands import parse

runner = CliRunner()


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that is no group."""
    for name, one in group.commands.items():
        yield from commands(one, (*path, name)) if hasattr(one, "commands") else [(*path, name)]


COMMANDS = list(commands(typer.main.get_command(app)))


def shown(*words: str, width: int = 80) -> str:
    done = runner.invoke(app, [*words], env={"COLUMNS": str(width)}, prog_name="threadweaver")
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("width", [80, NARROW])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_shows_examples_that_its_parser_takes(command: tuple[str, ...], width: int) -> None:
    _, title, below = shown(*command, "--help", width=width).partition("Example")
    assert title, "no example"
    for words in filter(None, map(shlex.split, below.partition(":")[2].splitlines())):
        assert words[: len(command) + 1] == ["threadweaver", *command]
        parse(words[1:])


def test_an_example_that_the_parser_does_not_take_would_be_seen() -> None:
    with pytest.raises(typer.BadParameter.__base__, match="--nonsense"):  # type: ignore[arg-type]
        parse(["eval", "rerun", "folder", "--nonsense"])


@pytest.mark.parametrize("command", [(), ("eval",), *COMMANDS], ids=" ".join)
def test_h_is_help(command: tuple[str, ...]) -> None:
    assert "Usage: threadweaver" in shown(*command, "-h")


def test_the_version() -> None:
    assert shown("--version") == f"threadweaver {tw_plugins.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_of_completion_is_shown(shell: str) -> None:
    assert "_THREADWEAVER_COMPLETE" in shown("--show-completion", shell)


def test_the_tab_key_completes_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        asked = {"_THREADWEAVER_COMPLETE": "complete_bash", "COMP_WORDS": words}
        environment = asked | {"COMP_CWORD": str(len(words.split()) - 1)}
        return runner.invoke(app, [], env=environment, prog_name="threadweaver").output.split()

    assert completed("threadweaver eval r") == ["run", "rerun"]
    assert completed("threadweaver doctor --no") == ["--no-ray"]
