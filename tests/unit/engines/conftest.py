"""A client that is asked again at once."""

from __future__ import annotations

import pytest

from tw_plugins.engines import http


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of the client, in seconds; none is really made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(http.asyncio, "sleep", sleep)
    return made
