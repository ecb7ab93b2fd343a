"""Rows split over ranks are computed as on one, in float64; what cannot be split is refused by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AttentionInterface, Qwen3Config, Qwen3ForCausalLM

from tests.support import split_attention
from tests.support.branch import SMALL
from tests.support.messages import assert_message
from tests.support.ranks import run_module
from tests.support.split_attention import CASES, on_one_rank
from tw_plugins.attention import UnsupportedAttention, mask_for
from tw_plugins.attention.sequence_parallel import attention_of, check_split, split_over
from tw_plugins.attention.trie_attention import register, trie_attention, trie_plan

register()


def test_logits_and_gradients_are_those_of_one_rank(tmp_path: Path) -> None:
    """Two ranks and four, key heads fewer than ranks among them; padding, several rows, checkpointing."""
    run_module(split_attention.__name__, tmp_path / "result")
    for case, (logits, gradients) in zip(CASES, torch.load(tmp_path / "result"), strict=True):
        want, want_gradients = on_one_rank(case)
        near = 1e-6 if case.attention == "eager" else 1e-13  # whose softmax is in float32
        assert apart(logits, want) <= near, case
        assert bool(gradients) == (case.attention != "flex_attention")
        assert max(map(apart, gradients, want_gradients), default=0) <= near, case


def apart(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).norm() / want.norm())


ROPE = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}


class Group(SimpleNamespace):
    """Of so many ranks."""

    def size(self) -> int:
        ranks: int = self.ranks
        return ranks


def small(attention: str = "sdpa") -> Any:
    return Qwen3ForCausalLM._from_config(Qwen3Config(**SMALL), attn_implementation=attention)


def test_only_the_model_that_was_split_has_another_attention() -> None:
    model, other = small("trie"), small("trie")
    for name in ("a", "b"):  # once more, as a reference model's config may be
        split_over(model, Group(ranks=2, group_name=name))
        assert (model.config._attn_implementation, attention_of(model.config)) == (
            f"trie over {name}",
            "trie",
        )
    assert other.config._attn_implementation == attention_of(other.config) == "trie"
    positions = torch.tensor([[0, 1, 2, 1]])
    assert torch.equal(mask_for(model.config, positions), trie_plan(positions))
    assert "attn_implementation" not in model.config.to_json_string()  # of what is saved


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_attention_heads": 6}, "qwen3 has 6 attention heads, which 4 ranks do not divide"),
        ({"vision_config": {}}, "qwen3 attends to pictures too"),
        (
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "positions .dynamic",
        ),
    ],
)
def test_models_that_cannot_be_split(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedAttention) as error:
        check_split(Qwen3Config(**{**SMALL, **changes}), 4)
    assert_message(error.value, f"{said}.*set another number, or 1")


def test_a_model_with_attention_of_its_own() -> None:
    model = small()
    model._supports_attention_backend = False
    with pytest.raises(UnsupportedAttention, match=r"qwen3 computes attention in its own way: .* or 1"):
        split_over(model, Group(ranks=2, group_name="own"))


def test_rows_without_a_mask_and_sinks_are_refused() -> None:
    model, x = small(), torch.zeros(1, 4, 2, 16)
    split_over(model, Group(ranks=2, group_name="refused"))
    attend = AttentionInterface()[model.config._attn_implementation]
    layer = model.model.layers[0].self_attn
    with pytest.raises(UnsupportedAttention, match="takes no rows without a mask"):
        attend(layer, x, x, x, None)
    with pytest.raises(UnsupportedAttention, match="takes no sinks"):
        attend(layer, x, x, x, torch.ones(1, 1, 4, 4, dtype=torch.bool), s_aux=torch.zeros(4))


def test_a_plan_of_a_slice_is_refused() -> None:
    """The rest of the output would be whatever stood in memory."""
    x = torch.zeros(8, 1, 16)
    with pytest.raises(ValueError, match="a plan of 4 tokens, and 8 queries"):
        trie_attention(x, x, x, trie_plan(torch.tensor([[0, 1, 2, 1]])), 1.0)
