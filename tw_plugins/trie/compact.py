"""Many rows in few bytes: 5 per token, where the lists of a `TrieRow` take up to a hundred.

A data set of the paper's size (17,491 examples of some 17k tokens) is 1.5 GB like this, and data-loader
processes share it, since it has no Python object per token whose count they would change.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import overload

from tw_plugins.trie.row import Branch, TrieRow, position_ids_from_branches

__all__ = ["CompactRows"]


class CompactRows(Sequence[TrieRow]):
    """A read-only sequence of SFT rows (they have no log-probs); each is made again when asked for."""

    def __init__(self, rows: Iterable[TrieRow]) -> None:
        """Copy every row; `rows` may be a generator, of which one row is in memory at a time."""
        # 4 + 1 bytes. Position ids take none: they follow from the branches.
        self._ids, self._trained = array("i"), array("b")
        self._rows: list[tuple[int, int, tuple[Branch, ...]]] = []  # start, stop, branches
        for row in rows:
            start = len(self._ids)
            self._ids.extend(row.input_ids)
            self._trained.extend(row.loss_mask)
            self._rows.append((start, len(self._ids), tuple(row.branches)))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [stop - start for start, stop, _ in self._rows]

    @overload
    def __getitem__(self, index: int) -> TrieRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TrieRow]: ...
    def __getitem__(self, index: int | slice) -> TrieRow | Sequence[TrieRow]:
        if isinstance(index, slice):
            return self.in_order(range(*index.indices(len(self))))
        start, stop, branches = self._rows[index]
        return TrieRow(
            input_ids=self._ids[start:stop].tolist(),
            position_ids=position_ids_from_branches(stop - start, branches),
            loss_mask=self._trained[start:stop].tolist(),
            branches=list(branches),
        )

    def in_order(self, indices: Iterable[int]) -> CompactRows:
        """The rows of these indices, in this order; tokens are shared, not copied."""
        chosen = CompactRows(())
        # Nothing appends to them after __init__, so they may be shared.
        chosen._ids, chosen._trained = self._ids, self._trained
        chosen._rows = [self._rows[index] for index in indices]
        return chosen
