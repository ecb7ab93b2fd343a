"""Log-probs, entropy and gradient from the head in chunks are those that upstream makes of all logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from openrlhf_ext.output_head import OutputHeadError, answer_in_chunks
from tests.support.openrlhf.models import actor, tiny_model

SEQUENCES = torch.tensor([[5, 6, 7, 8, 9, 6], [5, 6, 9, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def computed(model: Path, chunk: int, packed: bool, dtype: torch.dtype, temperature: float) -> list[Any]:
    policy = actor(model, dtype, packing_samples=packed, temperature=temperature)
    assert policy.logits_chunk == 1024  # the default
    policy.logits_chunk = chunk
    log_probs, output = policy(
        SEQUENCES, MASK[:, 1:], attention_mask=MASK, return_output=True, return_entropy=True
    )
    assert (output["logits"] is None) == bool(chunk)
    real = MASK[:, 1:].bool()  # upstream's entropy of padding is that of its logits
    (log_probs.sum() + 0.3 * output.entropy[real].sum()).backward()
    return [log_probs, output.entropy[real], *(p.grad for p in policy.parameters())]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunk", [1, 4, 1024])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.05)])
def test_the_numbers_are_upstreams(
    model: Path, chunk: int, packed: bool, dtype: torch.dtype, tolerance: float, temperature: float
) -> None:
    got, want = (computed(model, size, packed, dtype, temperature) for size in (chunk, 0))
    assert len(got) == len(want) > 10
    for one, other in zip(got, want, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one, other, atol=tolerance * scale, rtol=tolerance)


def test_log_probs_alone_and_logits_alone(model: Path) -> None:
    """SFT asks for the one, the distillation of other trainers for the other."""
    policy = actor(model)
    with torch.no_grad():
        found, output = policy(SEQUENCES, attention_mask=MASK, return_output=True, return_logprobs=True)
        logits = policy(SEQUENCES, attention_mask=MASK, return_output=True)["logits"]
    assert output["logits"] is None and logits.shape == (*SEQUENCES.shape, policy.model.config.vocab_size)
    want = logits.log_softmax(-1)[:, :-1].gather(-1, SEQUENCES[:, 1:, None])[..., 0]
    torch.testing.assert_close(found, want, atol=1e-6, rtol=1e-5)


def test_no_logits_of_a_whole_row_are_made(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = actor(model)
    policy.logits_chunk, sizes = 4, []
    linear = torch.nn.functional.linear

    def counted(hidden: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
        if weight is policy.model.lm_head.weight:
            sizes.append(hidden.shape[:-1].numel())
        return linear(hidden, weight, bias)

    monkeypatch.setattr("torch.nn.functional.linear", counted)
    monkeypatch.setattr("tw_plugins.adapter.logprobs.linear", counted)
    policy(SEQUENCES, MASK[:, 1:], attention_mask=MASK).sum().backward()
    assert sizes == [4, 4, 4] * 2  # forward and backward


def test_a_model_that_changes_its_logits(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}
    capped = Gemma2ForCausalLM(Gemma2Config(**sizes, **heads, final_logit_softcapping=30.0))
    assert not answer_in_chunks(capped)  # known by its config
    policy = actor(model)
    monkeypatch.setattr(policy.model, "forward", scaled(policy.model.forward))
    with pytest.raises(OutputHeadError, match=r"set --tw\.logits_chunk 0"):
        policy(SEQUENCES, MASK[:, 1:], attention_mask=MASK)


def scaled(forward: Any) -> Any:
    def double(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        output["logits"] = 2 * output["logits"]
        return output

    return double
