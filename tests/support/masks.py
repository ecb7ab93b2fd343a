"""Masks that tests watch, lose, and draw rows for."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from tw_plugins.attention import mask_for


def record_masks(monkeypatch: pytest.MonkeyPatch, adapter: str) -> list[Any]:
    """The list that every mask which the module `adapter` asks for is added to."""
    made: list[Any] = []

    def record(config: Any, positions: Any) -> Any:
        made.append(mask_for(config, positions))
        return made[-1]

    monkeypatch.setattr(f"{adapter}.mask_for", record)
    return made


def lose_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention as the self-check tries it sees all that stands before a token, other branches too."""

    def causal(config: Any, positions: torch.Tensor) -> torch.Tensor:
        return torch.ones(1, 1, positions.shape[1], positions.shape[1], dtype=torch.bool).tril()

    monkeypatch.setattr("tw_plugins.attention.self_check.mask_for", causal)


def random_row(rng: random.Random, trajectories: int, pads: int) -> tuple[list[int], list[int | None]]:
    """Positions and, from the making of the row, the parent of each token (None: root)."""
    positions: list[int] = []
    parents: list[int | None] = []
    for _ in range(trajectories):
        first, main = len(positions), rng.randint(3, 12)
        positions += range(main)
        parents += [None, *range(first, first + main - 1)]
        end = main
        for _ in range(rng.randint(0, 4)):
            fork = rng.choice([f for f in range(1, main) if f != end] or [1])
            length = rng.randint(1, 4)
            start, end = len(positions), fork + length
            positions += range(fork, end)
            parents += [first + fork - 1, *range(start, start + length - 1)]
    return positions + [0] * pads, parents + [None] * pads
