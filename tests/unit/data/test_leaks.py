r"""What counts as a result that a plan or a sibling must not give away, and what does not."""

from __future__ import annotations

import pytest

from tw_plugins.data.stage1.leaks import leaks

GIVEN_AWAY = [
    ("the sum is 7", "3 + 4 = 7", "what is 3 + 4?"),
    ("show that the left bracket is seven", "it is 7", "3 and 4"),
    ("show that it is 7", "so we get seven in all", "3 and 4"),
    ("it equals twenty-one", "21", "3 and 7"),
    ("it is three hundred", "300", "3 and 100"),
    (r"find x = \sqrt{3}", r"$x^2 = 3$, so $x = \sqrt{3}$", "solve x^2 = 3"),
    (r"the root is $\sqrt 3$", r"so \sqrt 3 it is", "solve x^2 = 3"),
    ("take 1/2 of it", r"it is $\frac{1}{2}$", "1 and 2"),
    ("take 0.5 of it", r"it is $\frac12$", "1 and 2"),
    (r"it is \frac{1}{2}", "that is 2/4", "1, 2 and 4"),
    ("with x = -5", "x = -5", "x + 5 = 0"),
    ("the root −5", "x = -5", "x + 5 = 0"),
    ("of which 1,234 are left", "1234 are left", "how many are left?"),
    ("of which 1234 are left", "1,234 are left", "how many are left?"),
    ("derive f = 2x+1", "so f(x) = 2x + 1.", "find f with x = 1, 2"),
    (r"get \boxed{x+1}", "it must be x + 1", "find the factor"),
    ("check that x = 5", "x = 5", "is 5 a root?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "thread", "shared"), GIVEN_AWAY)
def test_a_result_is_found_however_it_is_written(text: str, thread: str, shared: str) -> None:
    assert leaks(text, ["nothing here", thread], shared)
    assert not leaks(text, ["nothing here"], shared)
    assert not leaks(text, [thread], f"{shared}\n{thread}")


NOT_GIVEN_AWAY = [
    ("add 3 and 4 in 2 ways", "3 + 4 = 7", "what is 3 + 4?"),
    ("add 3 and 4 in two ways", "1, 2: 3 + 4 = 7", "what is 3 + 4?"),
    ("there are two cases, one of them easy", "1 and 2", "solve it"),
    ("take 1234 apart", "1,234 is even", "what is 1,234?"),
    ("subtract 5 from x - 5", "x - 5 - 5 = -10", "x - 5"),
    ("case 2: the other sign", "case 2: x < 0", "solve |x| = a"),
    ("expand (3 + 4)(5 + 6)", "(3 + 4)(5 + 6) = 77", "what is (3 + 4) times (5 + 6)?"),
    ("show that a is a root of f", "a is a root", "find a root a of f"),
    ("find f = g + h", "f = g + h", "let f = g + h"),
    ("halve it", r"\frac{1}{2}", "it"),
]


@pytest.mark.parametrize(("text", "thread", "shared"), NOT_GIVEN_AWAY)
def test_a_plan_is_no_result(text: str, thread: str, shared: str) -> None:
    assert leaks(text, [thread], shared) == []


def test_results_are_named_as_they_are_written() -> None:
    assert leaks("add 3 and 4 to 7", ["3 + 4 = 7"], "what is 3 + 4?") == ["7"]
    assert leaks(r"x = \sqrt{3}", [r"x = \sqrt{3}"], "x^2 = 3") == [r"\sqrt{3}"]


def test_numbers_of_any_length() -> None:
    assert leaks(f"it is {'9' * 5000}", [f"{'9' * 5000}"], "")
    assert not leaks("1/0 of it", ["2/0"], "")


def test_counting_in_words_is_not_knowing() -> None:
    assert leaks("it is 7", ["3 + 4 = 7"], "3 and 4", own="six, seven, eight") == ["7"]
    assert leaks("it is 7", ["3 + 4 = 7"], "3 and 4", own="14 / 2 = 7") == []
