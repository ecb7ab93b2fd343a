"""A finished pipeline's figures, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType

from tw_plugins.cli.tables import Figures
from tw_plugins.evaluation.speedup_words import compared, times
from tw_plugins.pipeline.report_data import DECOMPOSABLE, ITSELF

__all__ = ["figures_table", "speedup_line", "stages_line", "summary_lines"]


def summary_lines(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The models' figures, the speed-up and how long it took."""
    yield figures_table(report)
    yield speedup_line(report)
    yield stages_line(report)


def speedup_line(report: Mapping[str, Any]) -> str:
    """Of what against what, in tokens and in time."""
    tokens, clock = report["speedup"]["token_latency"], report["speedup"]["wall_clock"]
    against = report.get("against", "the sequential baseline")
    problems = report.get("problems", f"{DECOMPOSABLE} problems")
    line = (
        f"RL in parallel mode against {against}, {problems}: token latency {times(tokens)} "
        f"({compared(tokens, 'fewer tokens', 'more tokens', 'as many tokens')} in sequence)"
    )
    if clock is None:
        return f"{line}, no clock was read"
    return f"{line}, wall clock {times(clock)} ({compared(clock, 'faster', 'slower', 'no change')})"


def stages_line(report: Mapping[str, Any]) -> str:
    """`31.2 min (sft 600 s, …)`."""
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report["stages"].items())
    return f"{report['wall_s'] / 60:.1f} min ({took}), set-up not counted"


def figures_table(report: Mapping[str, Any]) -> Figures:
    """A row for each model and mode."""
    kinds = list(report["eval"]["rl"]["parallel"]["activation"])
    table = Figures()
    table.add_name("model")
    table.add_name("mode")
    forks = ["forks", *(f"({kind})" for kind in kinds[1:])]
    for column in ("accuracy", "format", "latency", *forks, "reward"):
        table.add_column(column, justify="right")
    for model, modes in report["eval"].items():
        for mode, figures in modes.items():
            table.add_row(
                model if not (model == "baseline" and report.get("against") == ITSELF) else "itself",
                mode,
                f"{figures['accuracy']:.1%}",
                f"{figures['format']:.1%}",
                f"{figures['token_latency']:.1f}",
                *(f"{figures['activation'].get(kind, 0):.1%}" for kind in kinds),
                f"{figures['reward']:.3f}",
            )
    return table
