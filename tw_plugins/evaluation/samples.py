"""Several samples of a problem: pass@k and maj@k, beside avg@k, which is accuracy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import comb

from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.grading import extract_answer
from tw_plugins.grading.normalise import normalise

__all__ = ["majorities", "passes"]

RIGHT = object()
"""The vote of every right answer, however it is written."""


def passes(records: Iterable[EvalRecord]) -> dict[int, dict[int, float]]:
    """pass@k of each problem, by k and by the problem's index.

    The chance that at least one of k of a problem's n samples, drawn at random, is right, 1 - C(n - c, k) /
    C(n, k) with c right ones (Chen et al. 2021, eq. 1).

    Returns:
        For k = 2, 4, 8, … and all samples of the problem that has fewest; empty where that is one.
    """
    problems = _problems(records)
    return {
        k: {
            index: 1 - comb(sum(not record.correct for record in found), k) / comb(len(found), k)
            for index, found in problems.items()
        }
        for k in _sizes(min(map(len, problems.values()), default=0))
    }


def majorities(records: Iterable[EvalRecord]) -> dict[int, float]:
    """maj@n of each problem, by its index: is the answer right that most of its samples give?

    Right answers are one vote, however they are written, as the verifier found them equal to the reference;
    wrong ones are one where they are written alike. A sample without an answer has no vote. Of answers with
    as many votes each is taken as often as the other: one right answer among two counts 1/2.

    Returns:
        Empty where a problem has one sample, or nothing has an answer (programs).
    """
    problems = _problems(records)
    votes = {index: Counter(filter(None, map(_vote, found))) for index, found in problems.items()}
    if min(map(len, problems.values()), default=0) < 2 or not any(votes.values()):
        return {}
    return {index: _share_right(cast) for index, cast in votes.items()}


def _problems(records: Iterable[EvalRecord]) -> dict[int, Sequence[EvalRecord]]:
    problems: dict[int, list[EvalRecord]] = defaultdict(list)
    for record in records:
        problems[record.index].append(record)
    return dict(sorted(problems.items()))


def _sizes(samples: int) -> list[int]:
    doubled = [1 << power for power in range(1, samples.bit_length()) if 1 << power < samples]
    return [*doubled, samples] if samples > 1 else []


def _vote(record: EvalRecord) -> object | None:
    answer = record.answer
    if answer is None and not record.unanswered:  # records of earlier versions do not keep it
        answer = extract_answer(record.text, answer_line=True)
    if answer is None:
        return None
    return RIGHT if record.correct else normalise(answer)


def _share_right(votes: Counter[object]) -> float:
    most = max(votes.values(), default=0)
    first = [vote for vote, times in votes.items() if times == most]
    return (RIGHT in first) / len(first) if first else 0.0
