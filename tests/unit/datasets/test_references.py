"""Reference answers as people publish them; what is none is refused, never graded against."""

from __future__ import annotations

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
