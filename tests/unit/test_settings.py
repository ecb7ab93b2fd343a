"""Values of the declared type pass; anything else is one message that names the field."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass
from typing import Any, Literal

import numpy as np
import pytest

from tw_plugins.rollout.deadline import check_deadline
from tw_plugins.settings import Settings, SettingsError, closest, declared, section, setting


@dataclass(frozen=True)
class Some(Settings):
    PREFIX = "some."

    count: int = 1
    few: int | None = setting(None, "more than one", least=2)
    rate: float = 0.5
    on: bool = False
    name: str = "a"
    kind: Literal["x", "y"] = "x"


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
    with pytest.raises(SettingsError) as error:
        Some(**{field: value})
    assert str(error.value) == f"some.{field}={value!r}: must be {wanted}"


@pytest.mark.parametrize(
    ("typed", "meant"), [("threadweavr", "threadweaver"), ("sync", None), ("grpo", None)]
)
def test_what_was_meant(typed: str, meant: str | None) -> None:
    assert closest(typed, ["p_grpo_x", "threadweaver"]) == meant


@dataclass(frozen=True)
class Worded(Settings):
    PREFIX = "a.b."

    seconds: float | None = setting(None, "how long", check=check_deadline, allowed="more than 0")
    share: float = setting(1, "of all", least=0, most=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seconds": 0}, "a.b.seconds is 0: it must be a positive number of seconds, at most a year"),
        ({"seconds": "1 h"}, "a.b.seconds='1 h': must be a finite number or null, more than 0"),
        ({"share": 1.5}, "a.b.share=1.5: must be a finite number, at least 0, at most 1"),
        ({"shares": 1}, "a.b has no setting shares; the settings are seconds, share (did you mean share?)"),
        ({"x": 1, "c": 2}, "a.b has no setting c, x; the settings are seconds, share"),
    ],
)
def test_a_section_that_cannot_work_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        Worded.read(given)
    assert str(error.value) == message


def test_a_section_is_read() -> None:
    assert Worded.read({"seconds": 3, "share": 0}) == Worded(3, 0)
    assert section(None, "a.b", "share=1") == {} and section({"share": 1}, "a.b", "share=1") == {"share": 1}
    with pytest.raises(SettingsError, match=r"^a.b='on': it must hold settings, e.g. a.b.share=1$"):
        section("on", "a.b", "share=1")


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Worded().share = 0  # type: ignore[misc]


def test_a_declaration_can_be_read() -> None:
    one = declared(Some)["few"]
    assert (one.text, one.default, one.least, one.choices) == ("more than one", None, 2, None)
    assert declared(Some)["kind"].choices == ("x", "y")
