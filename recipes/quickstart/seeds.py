"""`python -m recipes.quickstart.seeds runs/quickstart/verl*`: several runs as one Markdown table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer

from tw_plugins.markdown import markdown_table
from tw_plugins.report import read_report

Report = Mapping[str, Any]


def _share(value: float) -> str:
    return f"{value:.1%}"


def _times(value: float) -> str:
    return f"{value:.2f}×"


def _own(report: Report) -> Any:
    return report["eval"]["rl"]["parallel"]


def _base(report: Report) -> Any:
    return report["eval"]["baseline"]["autoregressive"]


ROWS: dict[str, tuple[Callable[[Report], float], Callable[[float], str]]] = {
    "accuracy, RL in parallel mode": (lambda r: _own(r)["accuracy"], _share),
    "accuracy, sequential baseline": (lambda r: _base(r)["accuracy"], _share),
    "token latency, decomposable, against the baseline": (lambda r: r["speedup"]["token_latency"], _times),
    "wall clock, batch size 1, decomposable, against the baseline": (
        lambda r: r["speedup"]["wall_clock"],
        _times,
    ),
    "activation on decomposable problems": (lambda r: _own(r)["activation"]["decomposable"], _share),
    "activation on chain problems": (lambda r: _own(r)["activation"]["chain"], _share),
    "reward, RL in parallel mode": (lambda r: _own(r)["reward"], "{:.4f}".format),
    "… of SFT in parallel mode": (lambda r: r["eval"]["sft"]["parallel"]["reward"], "{:.4f}".format),
    "token latency in tokens, RL in parallel mode": (lambda r: _own(r)["token_latency"], "{:.1f}".format),
    "… in tokens, SFT in parallel mode": (
        lambda r: r["eval"]["sft"]["parallel"]["token_latency"],
        "{:.1f}".format,
    ),
    "minutes, set-up not counted": (lambda r: r["wall_s"] / 60, "{:.1f}".format),
}


def table(reports: list[Report]) -> str:
    """A Markdown table: one column per run, and their mean."""
    head = ["", *(f"seed {report['seed']}" for report in reports), "mean"]
    rows = []
    for name, (figure, text) in ROWS.items():
        values = [figure(report) for report in reports]
        rows.append([name, *map(text, values), text(fmean(values))])
    return markdown_table(head, rows)


def main(folders: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]) -> None:
    """Compare runs of the quickstart that differ in their seed."""
    typer.echo(table(sorted((read_report(folder) for folder in folders), key=lambda report: report["seed"])))


if __name__ == "__main__":
    typer.run(main)
