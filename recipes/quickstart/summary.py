"""What a person sees at the end: the figures, the report's place, the time."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from recipes.quickstart.outcome import SMOKE, outcome
from recipes.quickstart.promise import PROMISES, judge, missed
from recipes.quickstart.task import task
from tw_plugins.cli.pipeline_figures import figures_table, speedup_line, stages_line
from tw_plugins.pipeline.plan import Plan
from tw_plugins.pipeline.report_pages import write_pages


def judged(report: dict[str, Any], smoke: bool) -> dict[str, Any]:
    """The report with its `outcome`, `promises` and `task`; of a smoke run nothing is expected."""
    if smoke:
        return {**report, "outcome": SMOKE, "task": task()}
    return {**report, "outcome": outcome(report), "promises": judge(report), "task": task()}


def summary(plan: Plan, report: dict[str, Any], console: Console) -> None:
    """Write a `judged` report and the page of all answers, and print its figures."""
    page = write_pages(plan, report)
    console.rule(Text("result", "bold"), align="left")
    console.print(figures_table(report))
    console.print(report["outcome"], style="bold", soft_wrap=True)
    console.print(speedup_line(report))
    console.print(stages_line(report))
    console.print(f"report: {page}", soft_wrap=True)


def verdict(report: dict[str, Any], console: Console) -> bool:
    """Print whether the run reached every promise, or which it did not; returns it."""
    unreached = missed(report)
    for text in unreached:
        console.print(f"not reached: {text}", style="yellow", soft_wrap=True)
    count = f"{len(PROMISES) - len(unreached)} of {len(PROMISES)} promises of the quickstart are reached"
    console.print(count, style="bold yellow" if unreached else "bold green")
    return not unreached
