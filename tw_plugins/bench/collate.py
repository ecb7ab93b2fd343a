"""One SFT example from token ids to a batch: our row and collator against a trie grown token by token.

The other way is the common one: every unit's tokens go into a prefix tree, and a dense float mask has a row
per token, its parent's and itself. (Written for this benchmark; the paper's release does the like.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tw_plugins.bench.memory import peak_of_process
from tw_plugins.bench.shapes import Shape, shaped_rollout, tags
from tw_plugins.bench.timing import Timing, compare
from tw_plugins.collator import TrieCollator
from tw_plugins.trie import row_from_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CollateFigures", "bench_collate"]

WAYS = ROW, DENSE, TREE = "row", "row, dense mask", "tree and dense mask"
TINY = 200  # tokens of the warm-up before memory is measured
TREE_UP_TO = 20_000  # tokens; beyond, the tree's mask alone has gigabytes


@dataclass(frozen=True)
class CollateFigures:
    """One size.

    Attributes:
        tokens: of the example, prompt included.
        timings: of each way that was run; "row" is the first.
        memory: bytes by which a process of its own grew at most, of each way.
    """

    tokens: int
    timings: dict[str, Timing]
    memory: dict[str, int]


def bench_collate(shape: Shape, repeats: int) -> CollateFigures:
    """Time one example in each way that fits its size."""
    example = _Example.of(shape)
    names = WAYS if len(example.ids) <= TREE_UP_TO else (ROW,)
    timings = compare({name: _way(name, shape) for name in names}, repeats)
    tiny = shape.scaled(TINY)
    memory = {name: peak_of_process(partial(_way, name), tiny, shape) for name in names}
    return CollateFigures(len(example.ids), timings, memory)


@dataclass(frozen=True)
class _Example:
    """Ids of the joined trajectory, of which `prompt` are the prompt's, and of each of its requests."""

    ids: list[int]
    prompt: int
    units: list[list[int]]

    @classmethod
    def of(cls, shape: Shape) -> _Example:
        rollout = shaped_rollout(shape)
        units = [[*call.context_ids, *call.completion.token_ids] for call in rollout.calls]
        return cls([*rollout.prompt_ids, *rollout.response_ids], len(rollout.prompt_ids), units)


def _way(name: str, shape: Shape) -> Callable[[], object]:
    """One way, ready to be done on an example of this shape."""
    example = _Example.of(shape)
    if name == TREE:
        return partial(grown, [example.ids, *example.units])
    return partial(collated, example.ids, example.prompt, "dense" if name == DENSE else "none")


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
