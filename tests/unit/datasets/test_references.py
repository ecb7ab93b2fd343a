"""Reference answers as people publish them; what is none is refused, never graded against."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.references import reference_of


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        ("72", "72"),
        (" 72\n", "72"),
        (72, "72"),
        (0, "0"),
        (0.5, "0.5"),
        (["72"], "72"),
        ([72], "72"),
        ("$\\frac{1}{2}$", "\\frac{1}{2}"),
        ("$1$ and $2$", "$1$ and $2$"),
        ("Half of 48 is 24.\n48+24=72\n#### 72", "72"),
        ("#### 1,234", "1,234"),
        ("So we get\n\n\\[x=\\boxed{\\frac{3}{4}}.\\]", "\\frac{3}{4}"),
        ("x = 3", "x = 3"),
        (Decimal("1.50"), "1.50"),
        ('["72"]', "72"),
        ("['72']", "72"),
        ("[1, 2]", "[1, 2]"),
        ("It is so.\nAnswer: 72", "72"),
        ("The answer is 72.", "72"),
        ("So the final answer is: 3.5", "3.5"),
        (10**100, str(10**100)),
        (10**400, None),
        pytest.param(10**5000, None, id="5001 digits"),
        (Decimal("NaN"), None),
        (Decimal("Infinity"), None),
        ('["2", "-3"]', None),
        ("{'value': 72}", None),
        ("nan", None),
        ("None", None),
        ("N/A", None),
        (True, None),
        (None, None),
        ("", None),
        (" ", None),
        ("$ $", None),
        ("work ####", None),
        ([], None),
        ([None], None),
        ({"value": 72}, None),
        (["2", "-3"], None),
        ([["2"]], None),
        (float("nan"), None),
        (float("inf"), None),
        ("First we see.\nThen we are done.", None),
        ("It follows from the above " * 20, None),
        ("\udc00", None),
    ],
)
def test_a_reference_or_none(value: Any, reference: str | None) -> None:
    if reference is not None:
        assert reference_of(value) == reference
        return
    with pytest.raises(BadRow):
        reference_of(value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Monday",
            "正确",
            "3 cm",
            r"\text{no solution}",
            "25\\%",
            "7:32",
            "2516_9",
            "x=3",
            "f(x)=2x",
            "n^2+n",
        ),
        *("∅", r"\mathbb{R}", "(1, 2]", r"\{1, 2\}", r"2+\sqrt{3}i", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ],
)
def test_one_that_grading_can_read(text: str) -> None:
    assert reference_of(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(r"\frac{1}{", r"\frac", r"\sqrt{", "x^2+", "x=", "2**3", "-", ".", "???", "🙂", "1 2", "<image>"),
        *("![](answer.png)", "https://example.org/a.png", r"\begin{array}{c} 1", r"\{1, \frac{2\}"),
    ],
)
def test_one_that_would_be_a_reward_of_0_for_ever(text: str) -> None:
    with pytest.raises(BadRow, match="that grading cannot read"):
        reference_of(text)
