"""One SFT example from token ids to a batch: our row and collator against a trie grown token by token.

The other way is the common one: every unit's tokens go into a prefix tree, and a dense float mask has a row
per token, its parent's and itself. (Written for this benchmark; the paper's release does the like.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tw_plugins.bench.shapes import Shape, shaped_rollout, tags
from tw_plugins.bench.timing import PeakMemory, Timing, compare, peak_memory
from tw_plugins.collator import TrieCollator
from tw_plugins.trie import row_from_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CollateFigures", "bench_collate"]

ROW, DENSE, TREE = "row", "row, dense mask", "tree and dense mask"
TREE_UP_TO = 20_000  # tokens; beyond, the tree's mask alone has gigabytes


@dataclass(frozen=True)
class CollateFigures:
    """One size.

    Attributes:
        tokens: of the example, prompt included.
        timings: of each way that was run; "row" is the first.
        memory: bytes that the process grew by, of each way.
    """

    tokens: int
    timings: dict[str, Timing]
    memory: dict[str, int]


def bench_collate(shape: Shape, repeats: int) -> CollateFigures:
    """Time one example in each way that fits its size."""
    rollout = shaped_rollout(shape)
    ids, prompt = [*rollout.prompt_ids, *rollout.response_ids], len(rollout.prompt_ids)
    ways: dict[str, Callable[[], object]] = {ROW: partial(collated, ids, prompt, "none")}
    if len(ids) <= TREE_UP_TO:
        units = [[*call.context_ids, *call.completion.token_ids] for call in rollout.calls]
        ways[DENSE] = partial(collated, ids, prompt, "dense")
        ways[TREE] = partial(grown, [ids, *units])
    memory = {name: _grown_by(way) for name, way in ways.items()}
    return CollateFigures(len(ids), compare(ways, repeats), memory)


def collated(ids: list[int], prompt: int, mask: Any) -> dict[str, Any]:
    """Our way: a batch of one row."""
    return TrieCollator(pad_token_id=0, mask=mask)([row_from_ids(ids, tags(), prompt)])


@dataclass
class _Node:
    """A token of the prefix tree."""

    index: int
    children: dict[int, _Node] = field(default_factory=dict)


def grown(units: Sequence[Sequence[int]]) -> Any:
    """The other way: (N, N) float32, 0 where the tree lets a token see another, −inf elsewhere."""
    import torch

    root, parents = _Node(-1), []
    for unit in units:
        node = root
        for token in unit:
            if token not in node.children:
                parents.append(node.index)
                node.children[token] = _Node(len(parents) - 1)
            node = node.children[token]
    mask = torch.full((len(parents), len(parents)), float("-inf"))
    for index, parent in enumerate(parents):
        if parent >= 0:
            mask[index] = mask[parent]
        mask[index, index] = 0.0
    return mask


def _grown_by(way: Callable[[], object]) -> int:
    peak: PeakMemory
    with peak_memory() as peak:
        way()
    return peak.bytes
