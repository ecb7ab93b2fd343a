from __future__ import annotations

import pytest

from tw_plugins.grading.boxed import extract_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{7}.", "7"),
        (r"\boxed{1} no, \boxed{ 2 }", "2"),
        (r"<think>\boxed{1}</think> the answer is \boxed{2}", "2"),
        (r"<think>a \boxed{1}</think> none here", None),
        (r"<think>\boxed{1}", "1"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed {5}", "5"),
        (r"\boxed{4} and then \boxed{\frac{1}{", "4"),
        (r"\boxed{ }", None),
        (r"\boxed{1\\", None),
        ("\\boxed{1\\", None),
        ("no box", None),
        ("", None),
        (r"$\boxed 5$", "5"),
        (r"\boxed 42 is it", "42"),
        (r"\boxed-3", "-3"),
        (r"\boxed\frac{1}{2}$", r"\frac{1}{2}"),
        (r"\boxed x", "x"),
        (r"\fbox{5}", "5"),
        (r"\fbox{5} or \boxed{6}", "6"),
        (r"\boxed{6} or \fbox{5}", "5"),
        (r"\boxed{6}, put in a \boxed command", "6"),
        (r"\boxedtext{5}", None),
        (r"\boxed", None),
        (r"\boxed\boxed\boxed", None),
        ("Answer: 5", None),
    ],
)
def test_last_complete_box_after_thinking(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so it is.\n\nAnswer: 5", "5"),
        ("Answer: 5\n\n", "5"),
        ("**Answer:** $5$.", "$5$."),
        ("**Final Answer: 5**", "5"),
        ("ANSWER: \\frac{1}{2}", r"\frac{1}{2}"),
        ("### Answer: 5", "5"),
        (r"Answer: \boxed{5}", "5"),
        (r"\boxed{4}" + "\nAnswer: 5", "5"),
        ("Answer: 5<|im_end|>\n", "5"),
        ("Answer: 5\nThat is all.", None),
        ("Answer: 5\n" + r"So \boxed{6}", "6"),
        ("<think>\nAnswer: 5</think>\nnothing", None),
        ("Answer:", None),
        ("The answer is large", None),
        (r"\boxed{7}", "7"),
    ],
)
def test_a_last_line_counts_where_the_prompt_asks_for_one(text: str, answer: str | None) -> None:
    assert extract_answer(text, answer_line=True) == answer
