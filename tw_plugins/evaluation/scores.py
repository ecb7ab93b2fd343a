"""Figures of an evaluation: one model's summary, and the speed-up of one model over another (P12)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.evaluation.records import EvalRecord

__all__ = [
    "EvaluationError",
    "Measure",
    "by_problem",
    "speedup",
    "speedups",
    "speedups_correct_only",
    "summarise",
]

Measure = Callable[[EvalRecord], float | None]


class EvaluationError(UserError, ValueError):
    """An evaluation that cannot be made, or whose records cannot be compared."""


def by_problem(records: Iterable[EvalRecord], measure: Measure) -> dict[int, float]:
    """Mean over each problem's samples, by index.

    A sample whose measure is None does not count, and a problem without any other is left out.
    """
    values: dict[int, list[float]] = defaultdict(list)
    for record in records:
        if (value := measure(record)) is not None:
            values[record.index].append(value)
    return {index: fmean(values[index]) for index in sorted(values)}


def summarise(records: Sequence[EvalRecord]) -> dict[str, Any]:
    """One model in one mode.

    Returns:
        Means over problems of means over samples (avg@k): shares in 0..1, token counts, ``wall_s_mean`` over
        what was timed (None when nothing was); ``n`` counts problems::

            n, accuracy, format, token_latency, total_tokens, activation {kind: share with a block},
            wall_s_mean, accuracy_by_kind {kind: …}, token_latency_by_kind {kind: …}

    Raises:
        EvaluationError: there is no record.
    """
    if not records:
        raise EvaluationError("there is no record to summarise")
    return {
        "n": len({record.index for record in records}),
        "accuracy": _mean(records, lambda record: record.correct),
        "format": _mean(records, lambda record: record.well_formed),
        "token_latency": _mean(records, lambda record: record.longest),
        "total_tokens": _mean(records, lambda record: record.total),
        "activation": _by_kind(records, lambda record: record.blocks > 0),
        "wall_s_mean": _mean(records, lambda record: record.wall_s),
        "accuracy_by_kind": _by_kind(records, lambda record: record.correct),
        "token_latency_by_kind": _by_kind(records, lambda record: record.longest),
    }


def speedup(
    own: Sequence[EvalRecord], baseline: Sequence[EvalRecord], kind: str | None = "decomposable"
) -> dict[str, float | None]:
    """How much faster ``own`` is than ``baseline``: mean over problems of baseline latency / own latency.

    A latency is the mean over the problem's samples; one of 0 tokens counts as 1.

    Args:
        kind: problems to compare; None takes all.

    Returns:
        ``token_latency``; ``token_latency_correct_only``: over the samples, and so the problems, that both
        answered correctly; ``token_latency_max``: of the best problem; ``wall_clock``: over the problems that
        both have timed. None where no problem is left.

    Raises:
        EvaluationError: the two have not answered the same problems, or none of ``kind``.
    """
    ratios = speedups(own, baseline, kind)
    own, baseline = _of_kind(own, kind), _of_kind(baseline, kind)
    correct = _ratios(own, baseline, _latency_if_correct)
    timed = _ratios(own, baseline, lambda record: record.wall_s)
    return {
        "token_latency": fmean(ratios.values()),
        "token_latency_correct_only": fmean(correct.values()) if correct else None,
        "token_latency_max": max(ratios.values()),
        "wall_clock": fmean(timed.values()) if timed else None,
    }


def speedups(
    own: Sequence[EvalRecord], baseline: Sequence[EvalRecord], kind: str | None = "decomposable"
) -> dict[int, float]:
    """Speed-up in token latency of every problem, by its index (paper Fig. 5).

    Raises:
        EvaluationError: as :func:`speedup`.
    """
    own, baseline = _of_kind(own, kind), _of_kind(baseline, kind)
    if different := {record.index for record in own} ^ {record.index for record in baseline}:
        raise EvaluationError(
            f"{len(different)} problems were answered by only one of the two models, the first has index "
            f"{min(different)}: evaluate both on the same file with the same limit"
        )
    if not own:
        raise EvaluationError(f"there is no {kind or ''} problem to compare".replace("  ", " "))
    return _ratios(own, baseline, _token_latency)


def speedups_correct_only(own: Sequence[EvalRecord], baseline: Sequence[EvalRecord]) -> dict[int, float]:
    """:func:`speedups` over the samples of any kind, and so the problems, that both answered correctly."""
    return _ratios(own, baseline, _latency_if_correct)


def _latency_if_correct(record: EvalRecord) -> float | None:
    return _token_latency(record) if record.correct else None


def _token_latency(record: EvalRecord) -> float:
    return max(record.longest, 1)


def _of_kind(records: Iterable[EvalRecord], kind: str | None) -> list[EvalRecord]:
    return [record for record in records if kind in (None, record.kind)]


def _ratios(own: Iterable[EvalRecord], baseline: Iterable[EvalRecord], measure: Measure) -> dict[int, float]:
    """Baseline / own, for problems that both have a value of."""
    ours, theirs = by_problem(own, measure), by_problem(baseline, measure)
    return {index: theirs[index] / value for index, value in ours.items() if index in theirs}


def _by_kind(records: Sequence[EvalRecord], measure: Measure) -> Mapping[str, float]:
    """Mean by kind, decomposable problems before others."""
    kinds = sorted({record.kind for record in records}, key=lambda kind: (kind != "decomposable", kind))
    means = {kind: _mean([r for r in records if r.kind == kind], measure) for kind in kinds}
    return {kind: mean for kind, mean in means.items() if mean is not None}


def _mean(records: Iterable[EvalRecord], measure: Measure) -> float | None:
    values = by_problem(records, measure).values()
    return fmean(values) if values else None
