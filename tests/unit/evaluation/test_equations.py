"""Equations in text: what counts as one, what does not, and no text takes long."""

from __future__ import annotations

import time

import pytest

from tw_plugins.evaluation.equations import Equation, equations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so the sum is 3 + 4 = 7.", {("3+4", "7")}),
        ("x = 3", {("x", "3")}),
        ("12*3 = 36 = 6^2", {("12*3", "36")}),
        ("a = b = 5", {("b", "5")}),
        ("x = 2y, x = 2 + y, x = 2(y), x = 2.", {("x", "2")}),
        ("x = 2 \\cdot 3", set()),
        ("(since 3+4 = 7)", {("3+4", "7")}),
        ("(3 + 4 = 7)", {("3+4", "7")}),
        ("(3 + 4) * 2 = 14", {("(3+4)*2", "14")}),
        ("P(2) = 1/4 and 3 < 4, 5 <= 6, 7 == 7, 8 := 8", {("P(2)", "1/4")}),
        ("$\\frac{6}{2} = 3$, \\(n^2 = 1{,}6\\)", {("\\frac{6}{2}", "3")}),
        ("- 12*3 = 36\n* 5 - 2 = 3", {("12*3", "36"), ("5-2", "3")}),
        ("1,000 + 234 = 1,234, then 1.5 + 1 = 2.5, so", {("1,000+234", "1234"), ("1.5+1", "2.5")}),
        ("5 = 5", set()),
        ("3 +\n4 = 7", {("4", "7")}),
        ("x &= -3 \\\\", {("x", "-3")}),
        ("y = \\boxed{ 12 }", {("y", "12")}),
        ("total = 12", set()),
        ("gcd(4, 6) = 2", {("gcd(4,6)", "2")}),
        ("= 5", set()),
        ("", set()),
    ],
)
def test_worked_examples(text: str, expected: set[tuple[str, str]]) -> None:
    assert equations(text) == {Equation(*pair) for pair in expected}


def test_white_space_does_not_matter() -> None:
    assert equations("3+4=7") == equations("3 + 4  =\t7") == equations("$3+4$ = 7")


@pytest.mark.parametrize("piece", ["1", "(", "x ", "1+", "= ", "\\a", " ", "1,000", "=1/", "{1}"])
def test_long_text_takes_linear_time(piece: str) -> None:
    started = time.perf_counter()
    equations(piece * 100_000)
    assert time.perf_counter() - started < 5
