"""What each token of a row sees, as intervals of row offsets, from position ids alone.

A row is a tree of tokens written depth first, and a token's position is its depth. So a token's parent is the
latest token before it, of its trajectory, that stands one position higher up; a 0 begins a trajectory. Tokens
whose positions count up are a segment. One that begins at a position p > 0 continues the latest segment
before it that holds p - 1: what stands between the two are branches that fork at p or deeper down.

    row        0 1 2 3 4 │ 3 4 5 │ 5 │ 1 2
    segment    a         │ b     │ c │ d         b continues a below 3, c continues b below 5, d a below 1

A jump can only lead up. One that leads down, as from 4 to 7, is a row whose branches are not written from the
largest fork to the smallest; a row that does not begin at 0 has lost its beginning. Both would be read as
another tree than was meant, so both are errors.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch

from tw_plugins.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NotDepthFirst", "Segment", "check_order", "ends_of", "segments_of"]


class NotDepthFirst(UserError, ValueError):
    """Position ids that are not those of trees written depth first, branches from the largest fork on."""


class Segment(NamedTuple):
    """Tokens ``start:stop`` whose positions count up.

    Attributes:
        ancestors: half-open intervals of what all of them see besides the segment itself, from the root on.
        alone: these are trajectories of one token each, as padding is; each sees itself only.
    """

    start: int
    stop: int
    ancestors: tuple[tuple[int, int], ...]
    alone: bool


def check_order(position_ids: Tensor) -> None:
    """
    Args:
        position_ids: (B, N) integers, rows one after the other along N (packing) included.

    Raises:
        NotDepthFirst: a row does not begin at 0, or jumps down its tree; names both places.
    """
    before = torch.cat([torch.full_like(position_ids[:, :1], -1), position_ids[:, :-1]], 1)
    wrong = position_ids > before + 1
    if not bool(wrong.any()):
        return
    row, offset = (int(index) for index in wrong.nonzero()[0])
    position = int(position_ids[row, offset])
    what = (
        f"jumps from position {int(before[row, offset])} to {position} at offset {offset}: branches stand "
        "depth first, the one that forks last first; tw_plugins.row_from_units and row_from_ids write them so"
        if offset
        else f"begins at position {position}: its beginning was cut off, and with it what branches continue; "
        "a row may lose tokens at its end only"
    )
    raise NotDepthFirst(f"row {row} of the batch {what}")


def segments_of(position_ids: Tensor) -> list[Segment]:
    """Segments of all rows; offsets count through the B·N tokens.

    Args:
        position_ids: (B, N) padded or (1, ΣN) packed rows.

    Raises:
        NotDepthFirst: see :func:`check_order`.
    """
    position_ids = position_ids.cpu()
    check_order(position_ids)
    positions = position_ids.reshape(-1)
    roots = positions == 0  # the first token of every row of the batch among them
    starts = (roots | (positions != positions.roll(1) + 1)).nonzero().flatten()
    alone = roots[starts] & (torch.cat([starts[1:], starts.new_tensor([len(positions)])]) == starts + 1)
    first = ~(alone & alone.roll(1))  # padding has position 0 everywhere: one segment for all of a run
    first[:1] = True  # `roll` has put the last segment before the first
    starts, alone = starts[first], alone[first]
    begins = torch.stack([starts, positions[starts], alone], 1).tolist()
    found: list[Segment] = []
    path: list[tuple[int, int, int]] = []  # position, start and stop of what the next segment may continue
    for (start, position, is_alone), (stop, *_) in pairwise([*begins, [len(positions)]]):
        while path and path[-1][0] >= position:
            path.pop()
        if path:
            above, low, _ = path.pop()
            path.append((above, low, low + position - above))
        found.append(Segment(start, stop, tuple((low, high) for _, low, high in path), bool(is_alone)))
        path.append((position, start, stop))
    return found


def ends_of(position_ids: Tensor) -> Tensor:
    """Row offset from which on a token is not seen any more: token k is seen by k, k + 1, … ends[k] - 1.

    Depth first, those who continue a token follow it without a gap.

    Args:
        position_ids: (…, N) integers.

    Returns:
        (…, N) int32.

    Raises:
        NotDepthFirst: see :func:`check_order`.
    """
    length = position_ids.shape[-1]
    ends = torch.empty(position_ids.numel(), dtype=torch.int32)
    for start, stop, ancestors, alone in segments_of(position_ids.reshape(-1, length)):
        ends[start:stop] = torch.arange(start + 1, stop + 1, dtype=torch.int32) if alone else stop
        for low, high in ancestors:
            ends[low:high] = stop
    begins = torch.arange(0, len(ends), length, dtype=torch.int32).unsqueeze(1)
    return (ends.view(-1, length) - begins).view(position_ids.shape).to(position_ids.device)
