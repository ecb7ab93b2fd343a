"""Forward and backward of the P-GRPO loss of one trajectory: its trie row against one row per request.

All ways train the same tokens with the same stock Qwen3 and give the same gradient. The rows of the requests
go through the model one after the other with plain causal attention, the best they can have; on CUDA also
several in one pack, with the flash kernel for sequences of any length, and the trie row with FlexAttention
beside segment attention. On CUDA everything is in bf16, on the CPU in fp32.

The loss is Eq. 4's with an advantage of 1, −(1/T)·Σ log π over the T sampled tokens; the vocabulary has 512
ids, so the output matrix counts for little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tw_plugins.attention.trie_attention import TRIE_ATTENTION
from tw_plugins.bench import BenchError
from tw_plugins.bench.memory import peak_of_process, peak_on_cuda
from tw_plugins.bench.shapes import Shape, shaped_rollout
from tw_plugins.bench.timing import Timing, compare
from tw_plugins.toy.model import Widths
from tw_plugins.trie import TrieRow, row_from_rollout, rows_from_rollout
from tw_plugins.trie.compact import CompactRows
from tw_plugins.trie.packing import Pack, PackedRows, plan

if TYPE_CHECKING:
    import torch

__all__ = ["MODELS", "ROWS", "ModelShape", "UpdateFigures", "bench_update", "device_named"]

VOCABULARY = 512
TRIE, ROWS, DENSE = "trie row", "one row per request", "trie row, dense mask"
PACKED, FLEX = "requests in packs", "trie row, FlexAttention"
TINY = 100  # tokens of the warm-up before memory is measured
LONGEST_DENSE = 12_000  # tokens; a dense mask and its scores take gigabytes beyond
PACK = 32_768  # tokens of a pack; a longer request has one of its own


@dataclass(frozen=True)
class ModelShape(Widths):
    """Layers of a Qwen3, and how much they compute.

    Attributes:
        checkpointing: whether a layer's activations are made again in the backward pass.
    """

    checkpointing: bool = False

    def macs(self, rows: Sequence[TrieRow]) -> int:
        """Multiplications of a forward pass: of the matrices per token, of attention per pair that counts."""
        attention = (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        per_token = self.layers * self.hidden * (attention + 3 * self.ffn) + self.hidden * VOCABULARY
        per_pair = self.layers * 2 * self.heads * self.head_dim
        pairs = sum(position + 1 for row in rows for position in row.position_ids)
        return per_token * sum(map(len, rows)) + per_pair * pairs


MODELS = {
    "small": ModelShape(hidden=256, ffn=768, heads=4, kv_heads=2, head_dim=64, layers=4),
    "0.6B": ModelShape(hidden=1024, ffn=3072, heads=16, kv_heads=8, head_dim=128, layers=1),
    "8B": ModelShape(hidden=4096, ffn=12_288, heads=32, kv_heads=8, head_dim=128, layers=1),
}
"""Small, and one layer each of Qwen3-0.6B and Qwen3-8B."""
WHOLE = replace(MODELS["0.6B"], layers=28, checkpointing=True)
"""Qwen3-0.6B, but for its vocabulary."""


@dataclass(frozen=True)
class UpdateFigures:
    """One size.

    Attributes:
        shape: of the trajectory, by name.
        device: "cpu" or "cuda".
        tokens: sampled tokens of the trajectory, all of them trained.
        trie_tokens, rows_tokens: tokens that go through the model.
        limit: how many times the multiplications of the trie row the rows of the requests need.
        timings: of each way; the trie row with segment attention is the first.
        memory: bytes that each way took at most beyond the model: of a process of its own, or on CUDA.
    """

    shape: str
    device: str
    tokens: int
    trie_tokens: int
    rows_tokens: int
    limit: float
    timings: dict[str, Timing]
    memory: dict[str, int]


def bench_update(shape: Shape, model: ModelShape, repeats: int, device: str) -> UpdateFigures:
    """Time one trajectory's update in each way that fits its size."""
    rollout = shaped_rollout(shape)
    trie, rows = [row_from_rollout(rollout)], rows_from_rollout(rollout)
    names = ways_on(device, len(trie[0]))
    ways = {name: _way(name, model, device, shape) for name in names}
    timings = compare(ways, repeats)
    if device == "cuda":
        memory = {name: peak_on_cuda(way) for name, way in ways.items()}
    else:
        tiny = shape.scaled(TINY)
        memory = {name: peak_of_process(partial(_way, name, model, device), tiny, shape) for name in names}
    return UpdateFigures(
        shape=shape.name,
        device=device,
        tokens=sum(trie[0].loss_mask),
        trie_tokens=sum(map(len, trie)),
        rows_tokens=sum(map(len, rows)),
        limit=model.macs(rows) / model.macs(trie),
        timings=timings,
        memory=memory,
    )


def _way(name: str, model: ModelShape, device: str, shape: Shape) -> Callable[[], object]:
    """One way, ready to be done on a trajectory of this shape."""
    rollout = shaped_rollout(shape)
    rows = rows_from_rollout(rollout) if name in (ROWS, PACKED) else [row_from_rollout(rollout)]
    made = model_with(_ATTENTION.get(name, TRIE_ATTENTION), model, device)
    passes = packed(rows, PACK) if name == PACKED else rows
    return partial(update, made, passes, sum(sum(row.loss_mask) for row in rows))


_ATTENTION = {ROWS: "sdpa", DENSE: "sdpa", FLEX: "flex_attention"}
"""transformers' implementation for each way that is not segment attention."""


def packed(rows: Sequence[TrieRow], budget: int) -> Sequence[Pack]:
    """Rows that go through the model together; the budget grows to the longest."""
    lengths = [len(row) for row in rows]
    return PackedRows(CompactRows(rows), plan(lengths, max(budget, *lengths)))


def ways_on(device: str, tokens: int) -> list[str]:
    """The ways that are compared on a device for a row of so many tokens; segment attention is the first."""
    further = [FLEX, PACKED] if device == "cuda" else []
    return [TRIE, ROWS, *further, *([DENSE] if tokens <= LONGEST_DENSE else [])]


def bench_batch(way: str, model: ModelShape, device: str, shapes: Sequence[Shape]) -> tuple[float, float]:
    """Seconds of trajectories one after the other: the first time, and again.

    The first time holds what is compiled or set up for each length; the lengths of a step do not come again.
    """
    _way(way, model, device, shapes[0].scaled(TINY))()
    ready = [_way(way, model, device, shape) for shape in shapes]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        for update_once in ready:
            update_once()
        seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1]


def device_named(name: str | None) -> str:
    """The device asked for; by default CUDA where there is one.

    Raises:
        BenchError: neither "cpu" nor "cuda", or no CUDA here.
    """
    import torch

    found = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if found not in ("cpu", "cuda"):
        raise BenchError(f"--device is {found!r}: choose cpu or cuda")
    if found == "cuda" and not torch.cuda.is_available():
        raise BenchError("--device is cuda, but torch finds no CUDA device here")
    return found


def model_with(attention: str, shape: ModelShape, device: str = "cpu") -> Any:
    """A Qwen3 of this shape: fp32 on the CPU, bf16 on CUDA."""
    import torch
    from transformers import Qwen3ForCausalLM

    from tw_plugins.attention.trie_attention import register

    register()
    torch.manual_seed(0)
    config = shape.config(VOCABULARY, max_position_embeddings=1 << 20)
    model = Qwen3ForCausalLM._from_config(config, attn_implementation=attention).train()
    if shape.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.to(device, torch.bfloat16 if device == "cuda" else torch.float32)


def update(model: Any, rows: Sequence[TrieRow | Pack], trained: int) -> None:
    """Forward and backward of −(1/T)·Σ log π over all rows, one at a time, to its end."""
    import torch

    from tw_plugins.attention import mask_for

    model.zero_grad(set_to_none=True)
    for row in rows:
        fields = (row.input_ids, row.position_ids, row.loss_mask)
        ids, positions, loss_mask = (torch.tensor([field], device=model.device) for field in fields)
        masked = isinstance(row, Pack) or row.branches
        mask = mask_for(model.config, positions) if masked else None
        logits = model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits
        _loss(logits, ids, loss_mask, trained).backward()
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def _loss(logits: torch.Tensor, ids: torch.Tensor, loss_mask: torch.Tensor, trained: int) -> torch.Tensor:
    import torch

    nll = torch.nn.functional.cross_entropy(logits[0, :-1].float(), ids[0, 1:], reduction="none")
    return (nll * loss_mask[0, 1:]).sum() / trained
