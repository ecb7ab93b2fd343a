"""`python -m recipes.smollm2.figures runs/…`: keeps finished runs' figures and writes the pages with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recipes.quickstart.made import made_here
from recipes.quickstart.promise import ACCURACY, AGAINST_BASELINE, CHAINS, FORKS, TOKEN_LATENCY, WALL_CLOCK
from recipes.quickstart.promise import accuracy as accuracy_of
from recipes.quickstart.seed_figures import Entry, entry_of, table
from recipes.quickstart.seed_pages import NAMES, ROOT, filled, results
from recipes.quickstart.seeds import read_record, write_record
from tw_plugins.cli.ending import OneLineCommand
from tw_plugins.pages.report import read_report
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import read_text

RECORDS = ROOT / "docs" / "smollm2"
HERE = "recipes/smollm2/README.md"
PROMISES = (
    replace(ACCURACY, wanted=0.9),
    replace(
        AGAINST_BASELINE,
        wanted=lambda report: accuracy_of(report, "baseline", "autoregressive") - 0.02,
        whence=" (the sequential baseline's − 2 points)",
    ),
    FORKS,
    replace(CHAINS, wanted=0.1),
    TOKEN_LATENCY,
    replace(WALL_CLOCK, wanted=1.4),
)
"""The quickstart's, a little less strict: of a model that learned English first."""


def records() -> dict[str, list[Entry]]:
    """What was kept, by framework, in the order of the seeds."""
    found = {name: [*read_record(RECORDS / f"{name}.json").values()] for name in NAMES}
    return {name: entries for name, entries in found.items() if entries}


def pages(kept: Mapping[str, Sequence[Entry]]) -> dict[Path, str]:
    """Each file as the records want it."""
    tables = "\n\n".join(f"{NAMES[name]}:\n\n{table(entries)}" for name, entries in kept.items())
    bodies = {HERE: ("runs", tables), "README.md": ("smollm2", results(kept))}
    return {ROOT / name: filled(read_text(ROOT / name), mark, body) for name, (mark, body) in bodies.items()}


def main(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of finished runs.")] = None,
) -> None:
    """Keep the figures of finished runs in docs/smollm2 and write them into the pages."""
    for folder in runs or ():
        report = read_report(folder)
        file = RECORDS / f"{report['framework']}.json"
        entry = entry_of(report, made_here(), PROMISES)
        del entry["settings"]  # they have the folder's path in them
        write_record(file, {**read_record(file), entry["seed"]: entry})
    for path, text in pages(records()).items():
        write_text(path, text)


app = typer.Typer(add_completion=False)
app.command(cls=OneLineCommand)(main)

if __name__ == "__main__":
    app()
