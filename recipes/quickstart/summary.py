"""What a person sees at the end: the figures, the report's place, the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from recipes.quickstart.outcome import SMOKE, outcome
from recipes.quickstart.promise import PROMISES, judge, missed
from tw_plugins.cli.tables import Figures
from tw_plugins.evaluation.speedup_words import compared, times
from tw_plugins.pages.report import write_report


def judged(report: dict[str, Any], smoke: bool) -> dict[str, Any]:
    """The report with its `outcome` and `promises`; of a smoke run nothing is expected."""
    if smoke:
        return {**report, "outcome": SMOKE}
    return {**report, "outcome": outcome(report), "promises": judge(report)}


def summary(folder: Path, report: dict[str, Any], console: Console) -> None:
    """Write a `judged` report and print its figures."""
    page = write_report(report, folder)
    console.rule(Text("result", "bold"), align="left")
    console.print(_table(report))
    console.print(report["outcome"], style="bold", soft_wrap=True)
    tokens, clock = report["speedup"]["token_latency"], report["speedup"]["wall_clock"]
    console.print(
        "RL in parallel mode against the sequential baseline, decomposable problems: "
        f"token latency {times(tokens)} "
        f"({compared(tokens, 'fewer tokens', 'more tokens', 'as many tokens')} in sequence), "
        f"wall clock {times(clock)} ({compared(clock, 'faster', 'slower', 'no change')})"
    )
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report["stages"].items())
    console.print(f"{report['wall_s'] / 60:.1f} min ({took}), set-up not counted")
    console.print(f"report: {page}", soft_wrap=True)


def verdict(report: dict[str, Any], console: Console) -> bool:
    """Print whether the run reached every promise, or which it did not; returns it."""
    unreached = missed(report)
    for text in unreached:
        console.print(f"not reached: {text}", style="yellow", soft_wrap=True)
    count = f"{len(PROMISES) - len(unreached)} of {len(PROMISES)} promises of the quickstart are reached"
    console.print(count, style="bold yellow" if unreached else "bold green")
    return not unreached


def _table(report: dict[str, Any]) -> Figures:
    table = Figures()
    table.add_name("model")
    table.add_name("mode")
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
