"""Labelled pairs hold the grader to its goal: nothing wrong is paid, and hardly anything right is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.grading.audit import Verdict, grade, share, table
from tests.grading.pairs import Pair, pairs, policy
from tests.support.root import ROOT
from tw_plugins import grading
from tw_plugins.grading import is_equivalent
from tw_plugins.grading.pool import GradingPool

MOST_UNPAID = 0.01


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A busy machine must not fail an honest comparison; those without an end are cut off at 10 s."""
    pool = GradingPool(size=2, first=10.0, deadline=10.0)
    monkeypatch.setattr(grading._grader, "pool", pool)
    yield
    pool.close()


def verdicts(of: Sequence[Pair]) -> list[Verdict]:
    with ThreadPoolExecutor(2) as threads:
        said = threads.map(lambda pair: is_equivalent(pair.answer, pair.reference), of)
        return list(map(Verdict, of, said))


def test_nothing_wrong_is_paid_and_hardly_anything_right_is_not() -> None:
    found = verdicts(pairs())
    wrong = "\n".join(str(verdict) for verdict in found if verdict.wrong)
    assert share(found, False).wrong == 0, wrong
    unpaid = share(found, True)
    assert unpaid.wrong <= MOST_UNPAID * unpaid.of, wrong


def test_the_policy_is_what_its_pairs_say() -> None:
    assert [str(verdict) for verdict in verdicts(policy()) if verdict.wrong] == []


def test_each_row_of_the_policy_has_a_pair() -> None:
    page = (ROOT / "docs/grading.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z ]+) \|", page.partition("## Policy")[2], re.MULTILINE)
    assert rows[0] == "row" and rows[1:] == list(dict.fromkeys(pair.kind for pair in policy()))


def test_the_page_says_how_many_references_are_read_only_as_copies() -> None:
    page = (ROOT / "docs/grading.md").read_text(encoding="utf-8")
    said = re.search(r"Of the ([\d,]+) references of the labelled pairs (\d+) are", page)
    references = {pair.reference for pair in (*pairs(), *policy())}
    with ThreadPoolExecutor(2) as threads:
        readable = list(threads.map(grading.is_readable, references))
    assert said and [int(figure.replace(",", "")) for figure in said.groups()] == [
        len(references),
        readable.count(False),
    ]


def test_there_are_several_hundred_pairs_and_none_twice() -> None:
    """About as many that are not equal as are; the two sides of a pair may be swapped."""
    labelled = pairs()
    equal = sum(pair.equal for pair in labelled)
    assert len(labelled) > 900 and 0.45 < equal / len(labelled) < 0.55
    for of in (labelled, policy()):
        texts = Counter((pair.answer, pair.reference) for pair in of)
        assert [text for text, count in texts.items() if count > 1] == []


def test_the_table_counts_by_kind() -> None:
    some = [Pair("a", "c", "1", "1", True), Pair("a", "c", "1", "2", False), Pair("b", "c", "2", "3", False)]
    found, seconds = grade(lambda answer, reference: True, some)
    assert seconds >= 0 and [verdict.wrong for verdict in found] == [False, True, True]
    rows = [line.split() for line in table({"yes": found}).splitlines()]
    assert rows[2:] == [["a", "0/1", "1/1"], ["b", "-", "1/1"], ["all", "0/1", "2/2"]]
    assert str(found[1]) == "paid: 1  for  2   (a; c)"
