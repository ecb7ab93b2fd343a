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


def random_row(
    rng: random.Random, trajectories: int, pads: int, depth: int = 5
) -> tuple[list[int], list[int | None]]:
    """Positions and, from the making of the row, the parent of each token (None: root)."""
    positions: list[int] = []
    parents: list[int | None] = []
    for _ in range(trajectories):
        _grow(rng, positions, parents, rng.randint(3, 12), 0, None, rng.randint(0, depth))
    return positions + [0] * pads, parents + [None] * pads


def _grow(
    rng: random.Random,
    positions: list[int],
    parents: list[int | None],
    length: int,
    fork: int,
    above: int | None,
    depth: int,
) -> None:
    """A segment below the token `above`, then its branches, the largest fork first."""
    start = len(positions)
    positions += range(fork, fork + length)
    parents += [above, *range(start, start + length - 1)]
    branches = rng.randint(0, 3) if depth and length > 1 else 0
    for at in sorted((rng.randint(1, length - 1) for _ in range(branches)), reverse=True):
        _grow(rng, positions, parents, rng.randint(1, 5), fork + at, start + at - 1, depth - 1)
