"""Keys and passwords in texts of others."""

from __future__ import annotations

import pytest

from tw_plugins.engines.secrets import Secrets

KEY = "sk-qX7vZ9kLm3Wd8RtYb5Nc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"the key {KEY} is wrong", "the key *** is wrong"),
        (f"the key {KEY.lower()} is wrong", "the key *** is wrong"),
        (f"it begins {KEY[:8]} and ends {KEY[-6:]}", "it begins *** and ends ***"),
        (f"{KEY}{KEY}", "***"),
        (f"five of it, {KEY[:5]}, might be anything", f"five of it, {KEY[:5]}, might be anything"),
        ("pass pin x", "*** pin x"),
        ("\x1b[31mred\x07 and\n more", "[31mred and more"),
        ("İ" * 9 + KEY, "İ" * 9 + "***"),  # its small letter is two characters
        ("", ""),
    ],
)
def test_a_text_is_shown_without_secrets(text: str, shown: str) -> None:
    assert Secrets([KEY, None, "", "pin", "pass"]).hide(text, 100) == shown


def test_a_secret_at_the_end_of_what_is_shown_is_hidden_too() -> None:
    assert Secrets([KEY]).hide("x" * 95 + KEY, 100) == "x" * 95 + "***"
    assert len(Secrets([KEY]).hide("x" * 10**6, 100)) == 100


def test_a_text_that_is_kept_loses_whole_long_secrets_alone() -> None:
    secrets = Secrets([KEY, "project"])
    assert secrets.take_out(f"\n {KEY[:9]} project {KEY}\x07") == f"\n {KEY[:9]} project ***\x07"
