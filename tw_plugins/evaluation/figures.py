"""Figures of one evaluation in one mode with their bootstrap intervals: what reports and comparisons show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tw_plugins.evaluation import bootstrap
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.redundancy import Redundancy, measure_redundancy
from tw_plugins.evaluation.samples import majorities, passes
from tw_plugins.evaluation.scores import EvaluationError, Measure, by_problem
from tw_plugins.trajectory import TrajectoryError

__all__ = ["ALL", "Figures", "as_interval", "by_kind", "describe"]

ALL = "all problems"
Figures = dict[str, Any]


def by_kind(records: Sequence[EvalRecord]) -> dict[str, list[EvalRecord]]:
    """All records under :data:`ALL`; those of each kind too where there are several kinds."""
    kinds = list(dict.fromkeys(record.kind for record in records))
    parts = {kind: [record for record in records if record.kind == kind] for kind in sorted(kinds)}
    return {ALL: list(records), **(parts if len(parts) > 1 else {})}


def describe(records: Sequence[EvalRecord]) -> Figures:
    """Every figure of one model in one mode.

    Returns:
        Figures are means over problems of means over samples, as ``{value, low, high}``::

            problems, samples              counts
            accuracy, format, activation   shares in 0..1
            unanswered                     share of trajectories without a final answer
            score, verifier_failed         of a verifier other than `math`, else None: mean score in 0..1,
                                           share of trajectories on which it failed
            token_latency, total_tokens    tokens
            self_parallelism               total / longest of a trajectory (paper Table 3)
            wall_s, wall_s_problems        seconds at batch size 1 and over how many problems; None and 0
                                           when none was timed
            limited, limits_hit            share of trajectories that hit a limit; {limit: hits}
            redundancy                     see :func:`redundancy_figures`
            pass_at, majority              {k: share} and share, see `tw_plugins.evaluation.samples`; {} and
                                           None where a problem has one sample

    Raises:
        EvaluationError: there is no record.
    """
    if not records:
        raise EvaluationError("there is no record to summarise")
    limits: Counter[str] = Counter()
    for record in records:
        limits.update(record.limits_hit)
    means = {name: _mean(records, measure) for name, measure in _MEASURES.items()}
    return {
        "problems": len({record.index for record in records}),
        "samples": len(records),
        **means,
        "wall_s_problems": len(by_problem(records, lambda record: record.wall_s)),
        "limits_hit": dict(sorted(limits.items())),
        "redundancy": redundancy_figures(records),
        "pass_at": {str(k): _interval(shares) for k, shares in passes(records).items()},
        "majority": _interval(majorities(records)),
    }


_MEASURES: Mapping[str, Measure] = {
    "accuracy": lambda record: record.correct,
    "token_latency": lambda record: record.longest,
    "total_tokens": lambda record: record.total,
    "self_parallelism": lambda record: record.total / record.longest if record.longest else 1.0,
    "wall_s": lambda record: record.wall_s,
    "activation": lambda record: record.blocks > 0,
    "format": lambda record: record.well_formed,
    "unanswered": lambda record: record.unanswered,
    "score": lambda record: record.score,
    "verifier_failed": lambda record: None if record.score is None else record.failed is not None,
    "limited": lambda record: any(record.limits_hit.values()),
}


def redundancy_figures(records: Iterable[EvalRecord]) -> Figures:
    """Redundancy between sibling threads (:mod:`tw_plugins.evaluation.redundancy`).

    Returns:
        ``trajectories``: well-formed ones with a block; ``malformed``: not looked into; ``blocks``; and as
        ``{value, low, high}``, or None where nothing can be measured, ``ngram_share``, ``equation_share`` and
        ``repeated`` (results that siblings have both worked out, per trajectory with a block).
    """
    kept: list[tuple[EvalRecord, Redundancy]] = []
    malformed = 0
    for record in records:
        try:
            measured = measure_redundancy(record.text, record.prompt)
        except TrajectoryError:
            malformed += 1
            continue
        if measured.blocks:
            kept.append((record, measured))
    found = {id(record): measured for record, measured in kept}
    forked = [record for record, _ in kept]
    return {
        "trajectories": len(kept),
        "malformed": malformed,
        "blocks": sum(len(measured.blocks) for measured in found.values()),
        "ngram_share": _mean(forked, lambda record: found[id(record)].ngram_share),
        "equation_share": _mean(forked, lambda record: found[id(record)].equation_share),
        "repeated": _mean(forked, lambda record: found[id(record)].repeated),
    }


def _mean(records: Iterable[EvalRecord], measure: Measure) -> Figures | None:
    return _interval(by_problem(records, measure))


def _interval(by_index: Mapping[int, float]) -> Figures | None:
    return as_interval(bootstrap.mean(list(by_index.values()))) if by_index else None


def as_interval(interval: bootstrap.Interval) -> Figures:
    """As JSON keeps it: ``{value, low, high}``."""
    return interval._asdict()
