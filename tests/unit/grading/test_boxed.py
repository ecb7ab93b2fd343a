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
    ],
)
def test_last_complete_box_after_thinking(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer
