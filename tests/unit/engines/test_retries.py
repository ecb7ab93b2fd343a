"""Pauses before a server is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tw_plugins.engines.retries import pause_s


def test_our_own_pauses_grow_and_end() -> None:
    assert [pause_s(None, attempt) for attempt in range(6)] == [1, 2, 4, 8, 16, 30]


def test_seconds_are_kept_as_they_are_asked() -> None:
    assert (pause_s("7", 0), pause_s("3600", 0), pause_s("0", 3)) == (7, 3600, 0)
    assert pause_s("soon", 1) == 2


@pytest.mark.parametrize(("ahead_s", "expected"), [(300, 300), (-300, 0)])
def test_a_date_is_a_pause(ahead_s: int, expected: int) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    assert pause_s(date, 0) == pytest.approx(expected, abs=60)
