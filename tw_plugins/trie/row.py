"""A trajectory as one row: a tree of tokens, each of which stands once, written depth first.

    row       = main path                                  | last block's … | branch 2  | branch 3  |
    tokens    = prompt seq </Outlines> h1 T1 h2 T2 h3 T3 … |                | h2' T2    | h3' T3    |
    positions = 0 1 2 …        f-1     f  …              L |                | f f+1 …   | f f+1 …   |
    loss      =    0    1              0  1  0  0  0  0  1 |                |  0   1    |  0   1    |

This is the paper's token trie (P6-7) cut into segments: the root, a path from the first token on, and
branches. A branch continues another segment, its parent, below the position at which it begins, its fork; it
may have branches of its own. A token attends to its own segment, to the parent below the segment's fork, and
so on up to the root. The row above is that of a fork-join trajectory: thread 1's context is a prefix of the
main path, so thread 1 is trained there; threads 2..n are trained in branches and are only context on the main
path. Against one row per request, whose prefixes are computed again for every request, a row has about six
times fewer tokens on the paper's data (Table 8, P27).

**Order.** A segment is followed by its branches, the one with the largest fork first, each with all of its
own. So the segment that a branch continues is the latest one before it that holds the position before its
fork, and position ids alone are the tree: what stands between the two are branches with the same or a larger
fork, and what continues those.

Two properties hold for every row, so that standard causal-LM code works on it unchanged:

- each branch begins with at least one untrained token, so the logits at ``i`` predict token ``i + 1``
  wherever that is trained;
- no branch begins at the position after the segment before it, so ``position_ids`` alone tell where the
  branches begin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Branch", "TrieRow", "position_ids_from_branches", "trained_ranges"]


class Branch(NamedTuple):
    """``length`` tokens from row offset ``start``; the first has position ``fork`` and continues the latest
    segment before it that holds position ``fork - 1``."""

    start: int
    fork: int
    length: int


@dataclass(frozen=True)
class TrieRow:
    """One trajectory, prompt included. All lists have the same length N.

    Attributes:
        input_ids: the root, then branches, each followed by its own.
        position_ids: depth of each token in the tree, which is its position in the request it belongs to.
        loss_mask: 1 iff the token itself is trained; it is predicted from the token before it in the row.
        branches: in row order; they fill the row from the end of the root on.
        logprobs: of the rollout, 0.0 where untrained; ``None`` if the engine gave none.

    Raises:
        ValueError: the lists differ in length.
    """

    input_ids: list[int]
    position_ids: list[int]
    loss_mask: list[int]
    branches: list[Branch] = field(default_factory=list)
    logprobs: list[float] | None = None

    def __post_init__(self) -> None:
        lengths = [len(self.position_ids), len(self.loss_mask)]
        lengths += [] if self.logprobs is None else [len(self.logprobs)]
        if set(lengths) != {len(self)}:
            raise ValueError(f"a row of {len(self)} tokens has lists of lengths {lengths}")

    def __len__(self) -> int:
        return len(self.input_ids)


def trained_ranges(loss_mask: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open ranges of the ones in a mask."""
    edges = [i for i, (a, b) in enumerate(zip([0, *loss_mask], [*loss_mask, 0], strict=True)) if a != b]
    return list(zip(edges[::2], edges[1::2], strict=True))


def position_ids_from_branches(length: int, branches: Sequence[Branch]) -> list[int]:
    """Position of each of ``length`` tokens: 0, 1, … in the root, fork, fork + 1, … in each branch.

    Raises:
        ValueError: the branches do not fill the end of the row, or are not in the order of a row: one forks
            at 0, or where the segment before it ends or later.
    """
    end = branches[0].start if branches else length  # position after what has been written
    positions = list(range(end))
    for branch in branches:
        if branch.start != len(positions):
            raise ValueError(f"{branch} does not fit: expected start {len(positions)}")
        # A branch at position 0 would be taken for the next trajectory of a pack, one at the next position
        # for more of the segment before it, and one beyond it has nothing there to continue.
        if not 0 < branch.fork < end:
            raise ValueError(
                f"{branch} does not fit: expected a fork in 1..{end - 1}, since branches stand depth first, "
                "the one that forks last first; row_from_units and row_from_ids write them so"
            )
        end = branch.fork + branch.length
        positions.extend(range(branch.fork, end))
    if len(positions) != length:
        raise ValueError(f"root and branches have {len(positions)} tokens, the row {length}")
    return positions
