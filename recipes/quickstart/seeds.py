"""`make seeds`: the quickstart with one seed after the other, and the table of all.

    python -m recipes.quickstart.seeds --framework verl --seeds "0 1 2"
    python -m recipes.quickstart.seeds runs/quickstart/verl runs/quickstart/verl-seed1   # runs nothing

Each run's figures are kept in one JSON file as soon as it ends, failed ones too. A seed that the file has
with the same settings is not run again, also where its folder is gone: runs may be spread over days and
machines. What was stopped goes on. Ends with status 0 where every seed reached every promise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from recipes.quickstart.choices import OUT, check_framework, run_folder
from recipes.quickstart.made import made_here, read_made
from recipes.quickstart.plan import DEFAULT_STAGES, plan_of
from recipes.quickstart.seed_figures import Entry, entry_of, failed, reached, table
from recipes.quickstart.settings import settings_of
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.ending import OneLineCommand
from tw_plugins.pages.report import JSON_NAME, read_report
from tw_plugins.pipeline.fingerprints import fingerprints
from tw_plugins.pipeline.stages import DONE, Pipeline
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import is_there, read_text

Runner = Callable[[Sequence[str]], int]
"""Runs a command to its end; returns its exit status."""


def run_command(command: Sequence[str]) -> int:
    """As a process of its own, which writes where this one does."""
    return subprocess.run(command, check=False).returncode


def finished(folder: Path, framework: str, seed: int, fast: bool) -> bool:
    """Whether every stage of these settings and recipes is done and the report is of the last one."""
    plan = plan_of(framework, folder, seed, fast)
    run = Pipeline(folder, fingerprints(plan), PlainConsole(quiet=True))
    report, evaluated = folder / JSON_NAME, run.path(DEFAULT_STAGES[-1]) / DONE
    return (
        all(run.done(stage) is not None for stage in DEFAULT_STAGES)
        and report.exists()
        and report.stat().st_mtime >= evaluated.stat().st_mtime
    )


def read_entry(folder: Path) -> Entry:
    """A finished run's, from its folder."""
    return entry_of(read_report(folder), read_made(folder / DEFAULT_STAGES[-1]))


def run_seed(
    framework: str, seed: int, fast: bool, out: Path, run: Runner, kept: Entry | None = None
) -> Entry:
    """Runs one seed unless it is done.

    Args:
        kept: what an earlier call kept of it; None for nothing.
    """
    folder = run_folder(out, framework, fast, seed)
    if finished(folder, framework, seed, fast):
        return read_entry(folder)
    if kept and kept.get("settings") == settings_of(seed, fast).fingerprint():
        return kept
    command = [sys.executable, "-m", "recipes.quickstart", "--framework", framework, "--seed", str(seed)]
    status = run([*command, "--out", str(out), "--strict", *(["--fast"] if fast else [])])
    if not finished(folder, framework, seed, fast):
        return failed(seed, f"exit status {status}", made_here())
    return read_entry(folder)


def read_record(path: Path) -> dict[int, Entry]:
    """What earlier calls kept, by seed.

    Raises:
        OSError, FileError: it cannot be read.
        typer.BadParameter: the file is not what `write_record` wrote.
    """
    if not is_there(path):
        return {}
    text = read_text(path)
    try:
        return {entry["seed"]: entry for entry in json.loads(text)}
    except (ValueError, TypeError, KeyError) as error:
        raise typer.BadParameter(
            f"{path} is no list of runs with their seeds: mend it, or name another", param_hint="--record"
        ) from error


def write_record(path: Path, entries: dict[int, Entry]) -> None:
    """All entries by seed, as JSON."""
    write_text(path, json.dumps([entries[seed] for seed in sorted(entries)], indent=2) + "\n")


def main(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Of finished runs: prints their table and runs nothing.")
    ] = None,
    framework: Annotated[str, typer.Option(help="verl or openrlhf.")] = "verl",
    seeds: Annotated[str, typer.Option(help="In this order.")] = "0 1 2 3 4 5 6 7 8 9",
    fast: Annotated[bool, typer.Option("--fast", help="Smoke runs: nothing is learned.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for all runs, as the quickstart's.")] = OUT,
    record: Annotated[
        Path | None, typer.Option(help="JSON file for the figures of each run. [default: in OUT]")
    ] = None,
) -> None:
    """Run the quickstart with several seeds and print the table of all, failed ones included."""
    console = PlainConsole()
    if folders:
        console.print(
            table(sorted(map(read_entry, folders), key=lambda entry: entry["seed"])), soft_wrap=True
        )
        return
    check_framework(framework)
    asked = _seeds(seeds)
    path = record or out / f"seeds-{framework}{'-fast' if fast else ''}.json"
    kept = read_record(path)
    for seed in asked:
        console.rule(Text(f"seed {seed}", "bold"), align="left")
        kept[seed] = run_seed(framework, seed, fast, out, run_command, kept.get(seed))
        write_record(path, kept)
    entries = [kept[seed] for seed in asked]
    console.print(table(entries), soft_wrap=True)
    console.print(f"figures: {path}", soft_wrap=True)
    if not all(map(reached, entries)):
        raise typer.Exit(1)


def _seeds(text: str) -> list[int]:
    """Each once."""
    words = text.split()
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise typer.BadParameter(f'{text!r} are no seeds: give numbers, like "0 1 2"', param_hint="--seeds")
    return list(dict.fromkeys(map(int, words)))


app = typer.Typer(add_completion=False)
app.command(cls=OneLineCommand)(main)

if __name__ == "__main__":
    app()
