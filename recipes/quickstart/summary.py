"""What a person sees at the end: the figures, the report's place, the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tw_plugins.report import write_report


def summary(folder: Path, report: dict[str, Any], console: Console) -> None:
    """Write the report and print its figures."""
    page = write_report(report, folder)
    console.rule("[bold]result", align="left")
    console.print(_table(report))
    speedup = report["speedup"]
    console.print(
        "RL in parallel mode against the sequential baseline, decomposable problems: "
        f"token latency [bold]{_ratio(speedup['token_latency'])}[/] better, "
        f"wall clock [bold]{_ratio(speedup['wall_clock'])}[/] better"
    )
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report["stages"].items())
    console.print(f"{report['wall_s'] / 60:.1f} min ({took}), set-up not counted")
    console.print(f"report: {page}", soft_wrap=True, highlight=False)


def _table(report: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    table.add_column("mode")
    for column in ("accuracy", "format", "latency", "forks", "(chain)", "reward"):
        table.add_column(column, justify="right")
    for model, modes in report["eval"].items():
        for mode, figures in modes.items():
            forks = figures["activation"]
            table.add_row(
                model,
                mode,
                f"{figures['accuracy']:.1%}",
                f"{figures['format']:.1%}",
                f"{figures['token_latency']:.1f}",
                f"{forks.get('decomposable', 0):.1%}",
                f"{forks.get('chain', 0):.1%}",
                f"{figures['reward']:.3f}",
            )
    return table


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}×"
