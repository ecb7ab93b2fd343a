"""pass@k and maj@k against counting all that can be drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from random import Random
from statistics import fmean

import pytest

from tests.support.records import RECORD
from tw_plugins.evaluation.figures import describe
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.report import evaluation_markdown
from tw_plugins.evaluation.samples import majorities, passes


def answers(*given: str | None, index: int = 0, right: str = "7") -> list[EvalRecord]:
    return [
        replace(
            RECORD,
            index=index,
            sample=number,
            answer=answer,
            correct=answer == right,
            unanswered=answer is None,
        )
        for number, answer in enumerate(given)
    ]


def test_pass_at_k_is_the_share_of_all_draws_with_a_right_one() -> None:
    random = Random(0)
    for _ in range(20):
        n = random.randint(2, 9)
        records = [answers(*random.choices("789", k=n), index=index) for index in range(3)]
        found = passes(record for problem in records for record in problem)
        assert max(found) == n and set(found) <= {2, 4, 8, n}
        for k, by_index in found.items():
            for index, problem in enumerate(records):
                drawn = [any(one.correct for one in some) for some in combinations(problem, k)]
                assert by_index[index] == pytest.approx(fmean(drawn))


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ("778", 1.0),
        ("788", 0.0),
        ("7788", 0.5),
        ("778899", 1 / 3),
        ("8899", 0.0),
        ((None, None, "7"), 1.0),
        ((None, None, None, "8"), 0.0),
        (("8", "8 ", "7", "7", r"\text{8}", "7."), 0.0),
    ],
)
def test_the_majority(given: tuple[str | None, ...], share: float) -> None:
    assert majorities(answers(*given)) == pytest.approx({0: share})


def test_right_answers_are_one_vote_however_they_are_written() -> None:
    half, point, other = answers("1/2", "0.5", "3")
    records = [replace(half, correct=True), replace(point, correct=True), other]
    assert majorities([*records, replace(other, sample=3)]) == {0: 0.5}


def test_ties_are_what_drawing_among_them_comes_to() -> None:
    """Against a vote taken ten thousand times."""
    given, random = "7788", Random(0)
    won = 0
    for _ in range(10_000):
        votes = Counter(random.sample(given, len(given)))
        won += votes.most_common(1)[0][0] == "7"
    assert majorities(answers(*given))[0] == pytest.approx(won / 10_000, abs=0.02)


def test_a_record_of_earlier_versions_has_its_answer_in_the_text() -> None:
    old = [replace(RECORD, text=rf"</think>\boxed{{{answer}}}", correct=answer == "7") for answer in "7788"]
    assert majorities(old) == {0: 0.5}


def test_one_sample_has_neither_and_programs_have_no_majority() -> None:
    assert not passes(answers("7")) and not majorities(answers("7"))
    programs = [replace(RECORD, unanswered=True, answer=None, correct=place > 0) for place in range(2)]
    assert not majorities(programs) and passes(programs) == {2: {0: 1.0}}
    assert describe(answers("7"))["pass_at"] == {} and describe(answers("7"))["majority"] is None


def test_both_stand_in_the_report_with_their_intervals() -> None:
    records = [record for index in range(12) for record in answers(*"7788"[index % 3 :], "8", index=index)]
    figures = {
        "modes": {"parallel": {"all problems": describe(records)}},
        "parallel_against_autoregressive": None,
    }
    report = evaluation_markdown(figures)
    assert "| avg@k | pass@2 | pass@3 | maj@k | k |" in report
    (row,) = [
        line
        for line in report.split("## Several")[1].split("## Wall")[0].splitlines()
        if "all problems" in line
    ]
    assert row.count("[") == 4 and row.rstrip(" |").endswith("3")
    assert "Several samples" not in report_of(answers("7"))


def report_of(records: list[EvalRecord]) -> str:
    modes = {"parallel": {"all problems": describe(records)}}
    return evaluation_markdown({"modes": modes, "parallel_against_autoregressive": None})
