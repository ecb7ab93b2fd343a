"""Several rows as one example, one after the other, up to a budget of tokens.

The rows of a pack do not see each other: their position ids begin again at 0, which every mask of
:mod:`tw_plugins.attention` takes for another trajectory. Which rows make a pack follows from their lengths
alone, so a framework's own sampler, loader and checkpoints handle packs as they handle rows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload

from tw_plugins.trie.compact import CompactRows

__all__ = ["Pack", "PackedRows", "plan"]


@dataclass(frozen=True)
class Pack:
    """Rows joined; each list has as many items as the pack has tokens, fields as of a `TrieRow`."""

    input_ids: list[int]
    position_ids: list[int]
    loss_mask: list[int]

    def __len__(self) -> int:
        return len(self.input_ids)


def plan(lengths: Sequence[int], budget: int, by_length: bool = True) -> list[list[int]]:
    """Which rows go together.

    Args:
        lengths: of the rows, in tokens.
        budget: tokens that a pack has at most.
        by_length: best fit, decreasing: from the longest row to the shortest, each goes into the fullest pack
            that has room for it. Else rows stay in their order, and a pack takes as many as fit.

    Raises:
        ValueError: a row is longer than the budget.
    """
    for index, length in enumerate(lengths):
        if length > budget:
            raise ValueError(f"row {index} has {length} tokens, a pack {budget} at most")
    return _best_fit(lengths, budget) if by_length else _consecutive(lengths, budget)


def _best_fit(lengths: Sequence[int], budget: int) -> list[list[int]]:
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # room and number of every pack, the fullest first
    # Stable, so equal lengths keep their order: each rank plans for itself and must find the same packs.
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        # 0 is the lowest number of a pack: a room of just this length is found too.
        place = bisect_left(rooms, (lengths[index], 0))
        if place < len(rooms):
            room, pack = rooms.pop(place)
            packs[pack].append(index)
        else:
            room, pack = budget, len(packs)
            packs.append([index])
        insort(rooms, (room - lengths[index], pack))
    return packs


def _consecutive(lengths: Sequence[int], budget: int) -> list[list[int]]:
    packs: list[list[int]] = []
    room = 0
    for index, length in enumerate(lengths):
        if not packs or length > room:
            packs.append([])
            room = budget
        packs[-1].append(index)
        room -= length
    return packs


class PackedRows(Sequence[Pack]):
    """A read-only sequence of packs; each is joined when asked for."""

    def __init__(self, rows: CompactRows, packs: Sequence[Sequence[int]]) -> None:
        """Packs as `plan` gives them, of these rows."""
        self._rows, self._packs = rows, packs

    def __len__(self) -> int:
        return len(self._packs)

    @overload
    def __getitem__(self, index: int) -> Pack: ...
    @overload
    def __getitem__(self, index: slice) -> PackedRows: ...
    def __getitem__(self, index: int | slice) -> Pack | PackedRows:
        if isinstance(index, slice):
            return PackedRows(self._rows, self._packs[index])
        rows = [self._rows[row] for row in self._packs[index]]
        # Positions stay each row's own: the 0 that begins the next row is all that a mask needs.
        fields = ((row.input_ids, row.position_ids, row.loss_mask) for row in rows)
        return Pack(*(list(chain.from_iterable(parts)) for parts in zip(*fields, strict=True)))

    def in_order(self, indices: Iterable[int]) -> PackedRows:
        """The packs of these indices, in this order."""
        return PackedRows(self._rows, [self._packs[index] for index in indices])
