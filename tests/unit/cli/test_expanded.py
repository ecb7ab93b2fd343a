"""A command that takes settings whole has an option for each of their fields, as they are declared."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from tw_plugins.cli.expanded import expanded
from tw_plugins.settings import Settings, setting


@dataclass(frozen=True)
class Ask(Settings):
    model: str = setting(MISSING, "which one")
    share: float | None = setting(None, "of the whole", least=0, most=1)


@dataclass(frozen=True)
class Keep(Settings):
    longest: int = setting(7, "tokens", least=1)
    shortest: int = setting(2, "tokens", least=1)


app = typer.Typer()


@app.command()
@expanded
def command(
    source: Annotated[str, typer.Argument()],
    ask: Ask,
    keep: Annotated[Keep, "longest"],
    loud: Annotated[bool, typer.Option("--loud")] = False,
) -> None:
    """What it does."""
    typer.echo(f"{source} {ask} {keep} {loud}")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_fields_arrive_in_their_settings() -> None:
    given = ("file", "--model", "m", "--share", "0.5", "--longest", "3", "--loud")
    assert run(*given) == (0, f"file {Ask('m', 0.5)} {Keep(3)} True\n")


def test_what_is_not_given_or_not_chosen_keeps_its_default() -> None:
    assert run("file", "--model", "m") == (0, f"file {Ask('m')} {Keep()} False\n")
    assert run("file", "--model", "m", "--shortest", "3")[0] == 2


def test_a_field_without_a_default_is_required_and_ranges_are_the_declared_ones() -> None:
    assert run("file")[0] == 2 and "--model" in run("file")[1]
    assert run("file", "--model", "m", "--share", "2")[0] == 2
    help_ = run("--help")[1]
    assert "What it does." in help_ and "Of the whole." in help_ and "0<=x<=1" in help_
