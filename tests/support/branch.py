"""A branch is computed as its own request, by whichever attention."""

from __future__ import annotations

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from tw_plugins.attention import mask_for

SMALL = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


def check_branch(attention: str) -> None:
    """Logits of a row of a small Qwen3 against those of its requests, each alone under SDPA."""
    # A row with a branch in a branch and another branch, another row, padding.
    row = torch.tensor([[*range(9), 4, 5, 6, 6, 7, 2, 3, *range(5), 0, 0]])
    ids = torch.randint(0, 64, row.shape, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    config = Qwen3Config(**SMALL, initializer_range=0.2)
    model = Qwen3ForCausalLM._from_config(config, attn_implementation=attention).eval()
    with torch.no_grad():
        mask = mask_for(model.config, row)
        got = model(input_ids=ids, position_ids=row, attention_mask=mask, use_cache=False).logits[0]
        model.config._attn_implementation = "sdpa"
        first, second = [*range(4), 9, 10, 11], [*range(4), 9, 10, 12, 13]
        for request in ([*range(9)], first, second, [0, 1, 14, 15], [*range(16, 21)]):
            want = model(input_ids=ids[:, request], use_cache=False).logits[0]
            torch.testing.assert_close(got[request], want, atol=1e-5, rtol=1e-5)
