"""Which masks an adapter asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tw_plugins.attention import mask_for


def record_masks(monkeypatch: pytest.MonkeyPatch, adapter: str) -> list[Any]:
    """The list that every mask which the module `adapter` asks for is added to."""
    made: list[Any] = []

    def record(config: Any, positions: Any) -> Any:
        made.append(mask_for(config, positions))
        return made[-1]

    monkeypatch.setattr(f"{adapter}.mask_for", record)
    return made
