"""Figures of an evaluation: one model's summary, and the speed-up of one model over another (P12)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from tw_plugins.records import EvalRecord

__all__ = ["EvaluationError", "speedup", "speedups", "summarise"]

Samples = dict[int, list[EvalRecord]]
Measure = Callable[[EvalRecord], float]


class EvaluationError(ValueError):
    """An evaluation that cannot be made, or whose records cannot be compared."""


def summarise(records: Sequence[EvalRecord]) -> dict[str, Any]:
    """One model in one mode.

    Returns:
        Shares in 0..1, token counts as means over records, ``wall_s_mean`` over those that were timed (None
        when none was)::

            n, accuracy, format, token_latency, total_tokens, activation {kind: share with a block},
            wall_s_mean, accuracy_by_kind {kind: …}, token_latency_by_kind {kind: …}

    Raises:
        EvaluationError: there is no record.
    """
    if not records:
        raise EvaluationError("there is no record to summarise")
    timed = [record.wall_s for record in records if record.wall_s is not None]
    return {
        "n": len(records),
        "accuracy": fmean(record.correct for record in records),
        "format": fmean(record.well_formed for record in records),
        "token_latency": fmean(record.longest for record in records),
        "total_tokens": fmean(record.total for record in records),
        "activation": _by_kind(records, lambda record: record.blocks > 0),
        "wall_s_mean": fmean(timed) if timed else None,
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
    own_samples, base_samples = _samples(own, kind), _samples(baseline, kind)
    return {
        "token_latency": fmean(ratios.values()),
        "token_latency_correct_only": _mean_ratio(
            _only(own_samples, lambda record: record.correct),
            _only(base_samples, lambda record: record.correct),
            _token_latency,
        ),
        "token_latency_max": max(ratios.values()),
        "wall_clock": _mean_ratio(
            _only(own_samples, lambda record: record.wall_s is not None),
            _only(base_samples, lambda record: record.wall_s is not None),
            lambda record: record.wall_s or 0.0,
        ),
    }


def speedups(
    own: Sequence[EvalRecord], baseline: Sequence[EvalRecord], kind: str | None = "decomposable"
) -> dict[int, float]:
    """Speed-up in token latency of every problem, by its index (paper Fig. 5).

    Raises:
        EvaluationError: as :func:`speedup`.
    """
    own_samples, base_samples = _samples(own, kind), _samples(baseline, kind)
    if different := own_samples.keys() ^ base_samples.keys():
        raise EvaluationError(
            f"{len(different)} problems were answered by only one of the two models, the first has index "
            f"{min(different)}: evaluate both on the same file with the same limit"
        )
    if not own_samples:
        raise EvaluationError(f"there is no {kind or ''} problem to compare".replace("  ", " "))
    return _ratios(own_samples, base_samples, _token_latency)


def _token_latency(record: EvalRecord) -> float:
    return max(record.longest, 1)


def _samples(records: Iterable[EvalRecord], kind: str | None) -> Samples:
    """Records of a kind by problem."""
    samples: Samples = defaultdict(list)
    for record in records:
        if kind in (None, record.kind):
            samples[record.index].append(record)
    return dict(sorted(samples.items()))


def _only(samples: Samples, wanted: Callable[[EvalRecord], bool]) -> Samples:
    """The wanted records; problems without any are left out."""
    kept = {index: [record for record in records if wanted(record)] for index, records in samples.items()}
    return {index: records for index, records in kept.items() if records}


def _ratios(own: Samples, baseline: Samples, measure: Measure) -> dict[int, float]:
    """Baseline / own, for problems that both have."""
    return {
        index: fmean(map(measure, baseline[index])) / fmean(map(measure, records))
        for index, records in own.items()
        if index in baseline
    }


def _mean_ratio(own: Samples, baseline: Samples, measure: Measure) -> float | None:
    ratios = _ratios(own, baseline, measure)
    return fmean(ratios.values()) if ratios else None


def _by_kind(records: Sequence[EvalRecord], measure: Measure) -> Mapping[str, float]:
    """Mean by kind, decomposable problems before others."""
    kinds = sorted({record.kind for record in records}, key=lambda kind: (kind != "decomposable", kind))
    return {kind: fmean(measure(record) for record in records if record.kind == kind) for kind in kinds}
