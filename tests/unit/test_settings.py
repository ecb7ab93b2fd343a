"""Values of the declared type pass; anything else is one message that names the field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from tw_plugins.settings import check_fields, closest


@dataclass
class Some:
    count: int = 1
    few: int | None = None
    rate: float = 0.5
    on: bool = False
    name: str = "a"
    kind: Literal["x", "y"] = "x"

    def __post_init__(self) -> None:
        check_fields(self, "some.", least={"few": 2})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"count": np.int64(3), "few": 2, "rate": np.float32(0.5)},
        {"rate": 1, "on": True, "name": "", "kind": "y"},
        {"rate": 10**400},
    ],
)
def test_what_fits_passes(given: dict[str, Any]) -> None:
    Some(**given)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("count", True, "a whole number"),
        ("count", 1.0, "a whole number"),
        ("count", None, "a whole number"),
        ("few", "3", "a whole number or null, at least 2"),
        ("few", 1, "a whole number or null, at least 2"),
        ("rate", "0.5", "a finite number"),
        ("rate", False, "a finite number"),
        ("rate", math.nan, "a finite number"),
        ("rate", -math.inf, "a finite number"),
        ("on", 1, "true or false"),
        ("on", "yes", "true or false"),
        ("name", None, "text"),
        ("kind", "z", "one of x, y"),
        ("kind", None, "one of x, y"),
        ("kind", [], "one of x, y"),
    ],
)
def test_what_does_not_fit_is_named(field: str, value: Any, wanted: str) -> None:
    with pytest.raises(ValueError) as error:
        Some(**{field: value})
    assert str(error.value) == f"some.{field}={value!r}: must be {wanted}"


@pytest.mark.parametrize(
    ("typed", "meant"), [("threadweavr", "threadweaver"), ("sync", None), ("grpo", None)]
)
def test_what_was_meant(typed: str, meant: str | None) -> None:
    assert closest(typed, ["p_grpo_x", "threadweaver"]) == meant
