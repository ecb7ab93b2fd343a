"""What a run's model does now, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator

from recipes.quickstart.promise import (
    ACCURACY,
    AGAINST_BASELINE,
    AGAINST_SFT,
    CHAINS,
    FORKS,
    ON_CHAINS,
    ON_DECOMPOSABLE,
    TOKEN_LATENCY,
    WALL_CLOCK,
    Report,
    accuracy,
    activation,
    percent,
)
from tw_plugins.evaluation.speedup_words import compared

SMOKE = "A smoke run: every part ran, but too briefly to learn anything, so its figures say nothing."


def outcome(report: Report) -> str:
    """Where the model forks, and what else is not as promised."""
    return "; ".join([_forks(report), *_right(report), *_fast(report)]) + "."


def _forks(report: Report) -> str:
    own, chains = activation(report, "decomposable"), activation(report, "chain")
    if own is None:
        return "Whether the model forks where it pays was not measured"
    if FORKS.reached(report):
        if chains is None:
            return "The model forks where it pays, whether on chains too was not measured"
        if CHAINS.reached(report):
            return "The model learned to fork where it pays" + ("" if chains else ", and only there")
        if chains >= ON_DECOMPOSABLE:
            return "The model forks on everything, chains included"
        return f"The model forks where it pays, but on {CHAINS.shown(report)} of chains too"
    too = "" if chains is None or CHAINS.reached(report) else f", and on {CHAINS.shown(report)} of chains"
    if own == 0:
        return f"The model does not fork where it pays{too}" if too else "The model does not fork"
    # A share that is forgiven on chains is slips, here too.
    forks = "hardly forks, on" if own <= ON_CHAINS else "forks on only"
    return f"The model {forks} {FORKS.shown(report)} of the problems where it pays{too}"


def _right(report: Report) -> Iterator[str]:
    own, sft = accuracy(report, "rl"), accuracy(report, "sft")
    baseline = accuracy(report, "baseline", "autoregressive")
    if not (AGAINST_BASELINE.reached(report) and AGAINST_SFT.reached(report)):
        yield (
            f"it lost accuracy ({percent(own)} right, SFT {percent(sft)}, "
            f"the sequential baseline {percent(baseline)})"
        )
    elif not ACCURACY.reached(report):
        yield f"only {ACCURACY.shown(report)} of its answers are right, the baseline's {percent(baseline)}"


def _fast(report: Report) -> Iterator[str]:
    """Of a model that forks; what one that does not gains is plain."""
    words = {
        TOKEN_LATENCY: ("it needs more tokens in sequence", "it needs as many tokens in sequence"),
        WALL_CLOCK: ("it is slower in wall clock", "it is no faster in wall clock"),
    }
    for promise, (worse, same) in words.items():
        if not FORKS.reached(report) or promise.reached(report):
            continue
        value = promise.figure(report)
        if value is None:
            yield f"{promise.name} was not measured"
            continue
        better = f"its {promise.name} is better, but less than promised"
        yield f"{compared(value, better, worse, same)} ({promise.shown(report)})"
