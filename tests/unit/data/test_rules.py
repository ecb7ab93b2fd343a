"""The rules of the steps of stage 1, without an endpoint: blocks, edits, outlines, steps in order."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.stage1_server import EDITS, STRUCTURE
from tw_plugins.data.stage1.answer_json import Malformed
from tw_plugins.data.stage1.step1_structure import Passage, read_structure
from tw_plugins.data.stage1.step2_extract import blocks_of
from tw_plugins.data.stage1.step3_rewrite import apply_edits
from tw_plugins.data.stage1.step4_outline import read_outlines
from tw_plugins.data.stage1.traces import Trace

TRACE = Trace(tuple(f"line {number} of this trace" for number in range(1, 21)), "")
passages = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 5)).map(
        lambda pair: Passage("n", "t", pair[0], min(20, pair[0] + pair[1]))
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(passages, max_size=4), st.integers(0, 80))
def test_blocks_are_contiguous_ordered_and_apart(groups: list[list[Passage]], gain: int) -> None:
    blocks = blocks_of(groups, TRACE, gain)
    for block in blocks:
        assert len(block) >= 2
        assert all(a.last + 1 == b.first for a, b in pairwise(block))
        lengths = [len(TRACE.text(passage.first, passage.last)) for passage in block]
        assert sum(lengths) - max(lengths) >= gain
    ends = [(block[0].first, block[-1].last) for block in blocks]
    assert all(a[1] < b[0] for a, b in pairwise(ends))


def test_of_overlapping_blocks_the_better_one_stays() -> None:
    def group(*ranges: tuple[int, int]) -> list[Passage]:
        return [Passage("n", "t", *one) for one in ranges]

    chosen = blocks_of([group((1, 2), (3, 4)), group((3, 8), (9, 14))], TRACE, 0)
    assert [(block[0].first, block[-1].last) for block in chosen] == [(3, 14)]


def test_blank_lines_between_members_belong_to_the_one_before() -> None:
    trace = Trace(("a", "", "b", "c", "d"), "")
    (block,) = blocks_of([[Passage("1", "", 1, 1), Passage("2", "", 3, 4)]], trace, 0)
    assert [(passage.first, passage.last) for passage in block] == [(1, 2), (3, 4)]


@given(
    st.text("ab ", min_size=1, max_size=30),
    st.lists(st.tuples(st.text("ab ", max_size=4), st.text("cd", max_size=3))),
)
def test_edits_are_applied_once_or_refused(thread: str, edits: list[tuple[str, str]]) -> None:
    answer = json.dumps([{"source": source, "replacement": new} for source, new in edits])
    once = all(source and thread.count(source) == 1 for source, _ in edits)
    places = sorted((thread.find(source), len(source)) for source, _ in edits)
    apart = all(a + n <= b for (a, n), (b, _) in pairwise(places))
    if not (once and apart):
        with pytest.raises(Malformed):
            apply_edits(answer, thread, 0)
        return
    expected = thread
    for position, length, new in sorted(
        ((thread.find(source), len(source), new) for source, new in edits), reverse=True
    ):
        expected = expected[:position] + new + expected[position + length :]
    assert apply_edits(answer, thread, 0) == expected


def test_an_edit_whose_source_occurs_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="occurs 2 times"):
        apply_edits(json.dumps([{"source": "so", "replacement": ""}]), "so it is so", 0)
    assert apply_edits(json.dumps(EDITS), "Similarly, the right bracket. Go", 0.5) == "The right bracket. Go"


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("1: left sum", "left sum"),
        ("1. left sum", "left sum"),
        ("Outline 1: left sum", "left sum"),
        ("(1) left sum", "left sum"),
        ("1.5 times as much", "1.5 times as much"),
        ("12: left sum", "12: left sum"),
        ("1 is not prime", "1 is not prime"),
    ],
)
def test_an_outline_does_not_repeat_its_number(text: str, numbered: str) -> None:
    answer = json.dumps({"outlines": [{"number": 1, "text": text}]})
    assert read_outlines(answer, ["thread"], "") == [numbered]


def test_an_outline_that_is_its_number_only_is_empty() -> None:
    with pytest.raises(Malformed, match="outline 1 is empty"):
        read_outlines(json.dumps({"outlines": [{"number": 1, "text": "1:"}]}), ["thread"], "")


def test_an_outline_gives_no_siblings_result_away() -> None:
    texts = ["left sum", "right sum, knowing that the left bracket is 7"]
    answer = json.dumps({"outlines": [{"number": n, "text": text} for n, text in enumerate(texts, 1)]})
    with pytest.raises(Malformed, match="outline 2 gives away '7'"):
        read_outlines(answer, ["3 + 4 = 7", "5 + 6 = 11"], "(3 + 4) times (5 + 6)")


def edit(replacement: str) -> str:
    return json.dumps([{"source": "Similarly", "replacement": replacement}])


def test_an_edit_brings_in_no_siblings_result() -> None:
    thread, sibling = "Similarly, 5 + 6 = 11: six, seven, eight.", "3 + 4 = 7. The left bracket is 7."
    shared = "what is (3 + 4) times (5 + 6)?"
    with pytest.raises(Malformed, match="'7', which only a sibling finds") as caught:
        apply_edits(edit("The left bracket is 7. So"), thread, 0.5, [sibling], shared)
    assert caught.value.code == "sibling_result"
    assert apply_edits(edit("Of 5 and 6"), thread, 0.5, [sibling], shared).startswith("Of 5 and 6,")
    assert apply_edits(edit("So 11 is"), thread, 0.5, [sibling, "it is 11"], shared)  # its own result too


def test_edits_do_not_make_a_thread_much_longer() -> None:
    thread = "Similarly, the right bracket."
    with pytest.raises(Malformed, match="grow from 29 to 5020 characters") as caught:
        apply_edits(edit("x" * 5000), thread, 0.5)
    assert caught.value.code == "edits_add_too_much"
    assert apply_edits(edit("x" * 200), thread, 0.5)


def test_steps_must_follow_one_another() -> None:
    steps = [dict(STRUCTURE["steps"][0]), {**STRUCTURE["steps"][1], "first": 1}]  # type: ignore[dict-item]
    with pytest.raises(Malformed, match="step 2 has lines 1 to 4, they must lie in 2 to 8"):
        read_structure(json.dumps({"steps": steps, "groups": []}), 8)
    with pytest.raises(Malformed, match="a group names 9"):
        read_structure(json.dumps({**STRUCTURE, "groups": [["2", "9"]]}), 8)
