"""Two evaluations on the same problems: is one more accurate, is it faster, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence

from tw_plugins.evaluation import bootstrap
from tw_plugins.evaluation.figures import Figures, as_interval, by_kind, describe
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.scores import EvaluationError, Measure, by_problem, speedups, speedups_correct_only

__all__ = ["compare", "compare_by_kind"]

SHOWN = 5  # indices that a message names


def compare(own: Sequence[EvalRecord], baseline: Sequence[EvalRecord]) -> Figures:
    """Compares ``own`` with ``baseline``; problems are paired by their index.

    Returns:
        Intervals are ``{value, low, high}``::

            own, baseline           figures of each, see `tw_plugins.evaluation.figures.describe`
            accuracy_difference     own - baseline
            speedup                 mean over problems of baseline / own token latency (P12)
            speedup_of_means        mean baseline latency / mean own latency
            speedup_correct_only    over what both answered correctly; None where that is nothing
            speedup_max             of the best problem
            wall_clock              over problems that both have timed (Table 4): problems, own_s, baseline_s
                                    (means), speedup_of_means; None without such problems

    Raises:
        EvaluationError: no records, other problems, or the same index stands for another prompt.
    """
    _check_same_problems(own, baseline)
    ratios = list(speedups(own, baseline, kind=None).values())
    correct = list(speedups_correct_only(own, baseline).values())
    return {
        "own": describe(own),
        "baseline": describe(baseline),
        "accuracy_difference": as_interval(
            bootstrap.difference_of_means(*_paired(own, baseline, lambda record: record.correct))
        ),
        "speedup": as_interval(bootstrap.mean(ratios)),
        "speedup_of_means": as_interval(
            bootstrap.ratio_of_means(*_paired(baseline, own, lambda record: max(record.longest, 1)))
        ),
        "speedup_correct_only": as_interval(bootstrap.mean(correct)) if correct else None,
        "speedup_max": as_interval(bootstrap.greatest(ratios)),
        "wall_clock": _wall_clock(own, baseline),
    }


def compare_by_kind(own: Sequence[EvalRecord], baseline: Sequence[EvalRecord]) -> dict[str, Figures]:
    """:func:`compare` over all problems, and over each kind where there are several."""
    _check_same_problems(own, baseline)
    theirs = by_kind(baseline)
    if different := by_kind(own).keys() ^ theirs.keys():
        raise EvaluationError(f"only one of the two has problems of kind {', '.join(sorted(different))}")
    return {kind: compare(records, theirs[kind]) for kind, records in by_kind(own).items()}


def _wall_clock(own: Sequence[EvalRecord], baseline: Sequence[EvalRecord]) -> Figures | None:
    base_s, own_s = _paired(baseline, own, lambda record: record.wall_s)
    if not own_s:
        return None
    return {
        "problems": len(own_s),
        "own_s": as_interval(bootstrap.mean(own_s)),
        "baseline_s": as_interval(bootstrap.mean(base_s)),
        "speedup_of_means": as_interval(bootstrap.ratio_of_means(base_s, own_s)),
    }


def _paired(
    first: Sequence[EvalRecord], second: Sequence[EvalRecord], measure: Measure
) -> tuple[list[float], list[float]]:
    """Values of the problems that have one in both, in the same order."""
    one, other = by_problem(first, measure), by_problem(second, measure)
    both = sorted(one.keys() & other.keys())
    return [one[index] for index in both], [other[index] for index in both]


def _check_same_problems(own: Sequence[EvalRecord], baseline: Sequence[EvalRecord]) -> None:
    ours, theirs = ({record.index: record.prompt for record in records} for records in (own, baseline))
    if ours.keys() != theirs.keys():
        raise EvaluationError(
            f"not the same problems: {len(ours)} and {len(theirs)}, {_named(ours.keys() - theirs.keys())} "
            f"only in the first, {_named(theirs.keys() - ours.keys())} only in the second. "
            "Evaluate both on the same file with the same limit"
        )
    if other := {index for index, prompt in ours.items() if prompt != theirs[index]}:
        raise EvaluationError(
            f"{_named(other)} of {len(ours)} stand for different prompts in the two: "
            "evaluate both on the same file of problems"
        )


def _named(indices: set[int]) -> str:
    """``12 (index 3, 4, 5, 6, 7, …)``"""
    if not indices:
        return "none"
    first = ", ".join(map(str, sorted(indices)[:SHOWN]))
    return f"{len(indices)} (index {first}{', …' if len(indices) > SHOWN else ''})"
