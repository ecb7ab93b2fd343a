"""Where the core's settings stand in verl's config, and what verl alone has."""

from __future__ import annotations

import pytest

from verl_ext.settings import KEY, Settings, SettingsError


def test_a_length_above_verls_counts() -> None:
    """verl's rows are as long as they are, so that `max_tokens` is not cut to `data.max_response_length`."""
    assert Settings(max_tokens=900).limits(800).max_tokens == 900
    assert Settings().limits(800).max_tokens == 800


def test_contradicting_limits_are_named_with_their_place() -> None:
    with pytest.raises(SettingsError, match=rf"^{KEY}.\*: limits: answer_reserve \(9\) must be below"):
        Settings(answer_reserve=9).limits(9)


@pytest.mark.parametrize("name", ["layout", "request_ids"])
def test_words_are_checked(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{KEY}.{name}='x': must be one of "):
        Settings.read({name: "x"})
