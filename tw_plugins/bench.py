"""`threadweaver bench`: forward and backward of the P-GRPO loss, a trie row against one row per request.

Both sides train the same tokens of the same trajectory with the same stock Qwen3 and give the same gradient.
The rows go through the model one after the other with plain causal attention, the best they can have; the
trie row goes through once with its dense mask. Sides alternate; reported is the median of the ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tw_plugins.trie import TrieRow, row_from_rollout, rows_from_rollout
from tw_plugins.units import Call, Completion, Rollout

if TYPE_CHECKING:
    import torch

__all__ = ["Shape", "UpdateTimes", "bench_update", "synthetic_rollout"]

VOCABULARY = 512
PROMPT, HEADER = 50, 5


@dataclass(frozen=True)
class Shape:
    """A trajectory's shape; 4 blocks of 3 threads are the paper's self-trained data rounded (Table 8, P27).

    Attributes:
        tokens: sampled tokens in all.
        in_threads: share of them that stand in threads.
    """

    tokens: int
    blocks: int = 4
    threads: int = 3
    in_threads: float = 0.6


@dataclass(frozen=True)
class UpdateTimes:
    """Medians over repeats; `ratio` is rows / trie pair by pair, above 1 where the trie row is faster.

    Attributes:
        trie_s, rows_s: seconds of one forward and backward of the whole trajectory.
        trie_tokens, rows_tokens: tokens that went through the model.
    """

    tokens: int
    trie_tokens: int
    rows_tokens: int
    trie_s: float
    rows_s: float
    ratio: float
    ratio_min: float
    ratio_max: float


def synthetic_rollout(shape: Shape) -> Rollout:
    """A trajectory of random ids with exactly the shape asked for, as `fork_join` would return it."""
    import random

    rng = random.Random(0)

    def ids(n: int) -> list[int]:
        return [rng.randrange(VOCABULARY) for _ in range(n)]

    segment = max(1, round(shape.tokens * (1 - shape.in_threads) / (shape.blocks + 1)))
    thread = max(1, round(shape.tokens * shape.in_threads / (shape.blocks * shape.threads)))
    path, calls = ids(PROMPT), []

    def ask(context: list[int], n: int, block: int | None = None, number: int | None = None) -> list[int]:
        body = ids(n)
        calls.append(Call(context, Completion(body, None, "stop"), block, number))
        return body

    for block in range(1, shape.blocks + 1):
        path = path + ask(path, segment)
        fork = path
        for number in range(1, shape.threads + 1):
            header = ids(HEADER)
            path = path + header + ask(fork + header, thread, block, number)
    path = path + ask(path, segment)
    return Rollout(path[:PROMPT], path[PROMPT:], calls)


def bench_update(shape: Shape, repeats: int = 5) -> UpdateTimes:
    """Time one update of one trajectory both ways, alternating, after a warm-up of each."""
    rollout = synthetic_rollout(shape)
    trie, rows = [row_from_rollout(rollout)], rows_from_rollout(rollout)
    model = _model()
    trained = sum(map(sum, (row.loss_mask for row in trie)))
    sides = (lambda: _update(model, trie, trained), lambda: _update(model, rows, trained))
    seconds = list(_pairs(*sides, repeats))
    ratios = [slow / fast for fast, slow in seconds]
    return UpdateTimes(
        tokens=shape.tokens,
        trie_tokens=sum(map(len, trie)),
        rows_tokens=sum(map(len, rows)),
        trie_s=statistics.median(fast for fast, _ in seconds),
        rows_s=statistics.median(slow for _, slow in seconds),
        ratio=statistics.median(ratios),
        ratio_min=min(ratios),
        ratio_max=max(ratios),
    )


def _pairs(a: Callable[[], None], b: Callable[[], None], repeats: int) -> Iterator[tuple[float, float]]:
    for side in (a, b):
        side()
    for _ in range(repeats):
        yield _seconds(a), _seconds(b)


def _seconds(side: Callable[[], None]) -> float:
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def _model() -> Any:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM._from_config(config, attn_implementation="sdpa")


def _update(model: Any, rows: list[TrieRow], trained: int) -> None:
    """Forward and backward of −(1/T)·Σ log π over all rows, one at a time."""
    import torch

    from tw_plugins.attention import ancestor_mask

    model.zero_grad(set_to_none=True)
    for row in rows:
        ids, positions = torch.tensor([row.input_ids]), torch.tensor([row.position_ids])
        mask = ancestor_mask(positions).unsqueeze(1) if row.branches else None
        logits = model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits
        _loss(logits, ids, torch.tensor(row.loss_mask), trained).backward()


def _loss(logits: torch.Tensor, ids: torch.Tensor, loss_mask: torch.Tensor, trained: int) -> torch.Tensor:
    import torch

    nll = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
    return (nll * loss_mask[1:]).sum() / trained
