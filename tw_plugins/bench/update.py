"""Forward and backward of the P-GRPO loss of one trajectory: its trie row against one row per request.

All ways train the same tokens with the same stock Qwen3 and give the same gradient. The rows of the requests
go through the model one after the other with plain causal attention, the best they can have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tw_plugins.bench.shapes import Shape, shaped_rollout
from tw_plugins.bench.timing import Timing, compare
from tw_plugins.trie import TrieRow, row_from_rollout, rows_from_rollout

if TYPE_CHECKING:
    import torch

__all__ = ["ROWS", "UpdateFigures", "bench_update"]

VOCABULARY = 512
TRIE, ROWS, DENSE = "trie row", "one row per request", "trie row, dense mask"


@dataclass(frozen=True)
class UpdateFigures:
    """One size.

    Attributes:
        tokens: sampled tokens of the trajectory, all of them trained.
        trie_tokens, rows_tokens: tokens that go through the model.
        timings: of each way; the trie row with attention "trie" is the first.
    """

    tokens: int
    trie_tokens: int
    rows_tokens: int
    timings: dict[str, Timing]


def bench_update(shape: Shape, repeats: int) -> UpdateFigures:
    """Time one trajectory's update in each way."""
    rollout = shaped_rollout(shape)
    trie, rows = [row_from_rollout(rollout)], rows_from_rollout(rollout)
    trained = sum(trie[0].loss_mask)
    ways = {
        TRIE: partial(update, model_with("trie"), trie, trained),
        ROWS: partial(update, model_with("sdpa"), rows, trained),
        DENSE: partial(update, model_with("sdpa"), trie, trained),
    }
    return UpdateFigures(
        tokens=trained,
        trie_tokens=sum(map(len, trie)),
        rows_tokens=sum(map(len, rows)),
        timings=compare(ways, repeats),
    )


def model_with(attention: str) -> Any:
    """A Qwen3 of 4 layers and 3 M parameters."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from tw_plugins.trie_attention import register

    register()
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=1 << 20,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM._from_config(config, attn_implementation=attention)


def update(model: Any, rows: list[TrieRow], trained: int) -> None:
    """Forward and backward of −(1/T)·Σ log π over all rows, one at a time."""
    import torch

    from tw_plugins.attention import mask_for

    model.zero_grad(set_to_none=True)
    for row in rows:
        ids, positions = torch.tensor([row.input_ids]), torch.tensor([row.position_ids])
        mask = mask_for(model.config._attn_implementation, positions) if row.branches else None
        logits = model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits
        _loss(logits, ids, torch.tensor(row.loss_mask), trained).backward()


def _loss(logits: torch.Tensor, ids: torch.Tensor, loss_mask: torch.Tensor, trained: int) -> torch.Tensor:
    import torch

    nll = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
    return (nll * loss_mask[1:]).sum() / trained
