"""What a clock says: the median of the paired ratios, and how busy the machine was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from tw_plugins.evaluation import bootstrap
from tw_plugins.evaluation.clock.pairs import Decoded, Pair
from tw_plugins.evaluation.scores import EvaluationError

__all__ = ["clock_figures", "clock_line"]

ENOUGH = 30
"""Pairs below which a median says little."""


def clock_figures(pairs: Sequence[Pair], asked: int) -> dict[str, Any]:
    """Figures of at least one pair, in the order they were timed.

    Args:
        asked: how many problems were wanted; the file may have had fewer.

    Returns:
        ::

            problems, asked
            wall_clock      {median, low, high}: baseline's seconds over own, with a 95 % bootstrap interval
            token_latency   the same of tokens one after the other, the median
            own, baseline   {seconds, total, longest}: means over the problems
            others_cpu      {median, most}: share of all CPUs (0..1) that other processes took
            load_average    {before, median, after}: of a minute; "before" is of the first pair
            cpus

    Raises:
        EvaluationError: there is no pair.
    """
    if not pairs:
        raise EvaluationError("there is no pair of timed answers: run `threadweaver eval clock` again")
    middle, low, high = bootstrap.median(_ratios(pairs, lambda answer: answer.seconds))
    others, loads = [pair.others_cpu for pair in pairs], [pair.load_average for pair in pairs]
    return {
        "problems": len(pairs),
        "asked": asked,
        "wall_clock": {"median": middle, "low": low, "high": high},
        "token_latency": median(_ratios(pairs, lambda answer: max(answer.longest, 1))),
        "own": _means([pair.own for pair in pairs]),
        "baseline": _means([pair.baseline for pair in pairs]),
        "others_cpu": {"median": median(others), "most": max(others)},
        "load_average": {"before": loads[0], "median": median(loads), "after": loads[-1]},
        "cpus": os.cpu_count(),
    }


def clock_line(figures: Mapping[str, Any]) -> str:
    """``30 problems · wall clock 1.62× (95 %: 1.58–1.66), token latency 1.74× · …``; says if that is few."""
    clock, problems = figures["wall_clock"], figures["problems"]
    line = (
        f"{problems} problems · wall clock {clock['median']:.2f}× (95 %: {clock['low']:.2f}–"
        f"{clock['high']:.2f}), token latency {figures['token_latency']:.2f}× · "
        f"{figures['own']['seconds']:.3f} s against {figures['baseline']['seconds']:.3f} s · other "
        f"processes took {figures['others_cpu']['median']:.0%} of {figures['cpus']} CPUs, load "
        f"{figures['load_average']['median']:.1f}"
    )
    if problems < figures["asked"]:
        line += f" · the file has only {problems} of the {figures['asked']} problems asked for"
    return line + (f" · fewer than {ENOUGH} problems: the median says little" if problems < ENOUGH else "")


def _ratios(pairs: Sequence[Pair], measure: Callable[[Decoded], float]) -> list[float]:
    """Baseline over own."""
    return [measure(pair.baseline) / measure(pair.own) for pair in pairs]


def _means(answers: Sequence[Decoded]) -> dict[str, float]:
    return {
        "seconds": fmean(answer.seconds for answer in answers),
        "total": fmean(answer.total for answer in answers),
        "longest": fmean(answer.longest for answer in answers),
    }
