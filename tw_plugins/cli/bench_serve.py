"""`threadweaver bench serve` for people: its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tw_plugins.bench.serve import PLAIN, ServeFigures, bench_serve
from tw_plugins.bench.timing import Spread
from tw_plugins.cli.bench_output import Output, between, machine_of_vllm
from tw_plugins.cli.tables import Figures

__all__ = ["serve"]


def serve(
    model: str,
    data: Path,
    problems: int,
    max_tokens: int,
    batches: Sequence[int],
    repeats: int,
    output: Output,
) -> None:
    """Our server beside vLLM's own.

    Raises:
        EvaluationError, BenchError: see `bench_serve`.
    """
    with output.console.working("vLLM starts") as status:
        figures = bench_serve(model, data, problems, max_tokens, batches, repeats, status.update)
    shown = Figures(
        "at a time", "answers", "way", "wall clock", "server's CPU", "engine's CPU", "tokens", "orchestration"
    )
    for each in figures:
        for way, own in each.ways.items():
            shown.add_row(
                str(each.batch),
                "streams" if each.stream else "whole",
                way,
                "" if way == PLAIN else between(own.wall_clock, "{:.2f}", "×"),
                _ms(own.server_ms),
                _ms(own.engine_ms),
                f"{own.tokens:.0f}",
                between(own.orchestration, "{:.1f}", " %", times=100) if own.orchestration else "",
            )
        shown.add_section()
    output.show("serve", shown, _settings(figures[0], repeats), figures, machine_of_vllm())


def _ms(spread: Spread) -> str:
    return f"{spread.median:.1f} ms ({spread.least:.1f}–{spread.most:.1f})"


def _settings(figures: ServeFigures, repeats: int) -> str:
    return (
        f"{figures.problems} problems, greedy; CPU and tokens for each answer; median of {repeats} turns; "
        "orchestration: CPU of the server's own process beyond vLLM's own server's, of the engine's"
    )
