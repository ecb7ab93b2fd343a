"""A row computes what its requests computed, on stock Hugging Face models: log-probs, Eq. 4, its gradient."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
import torch

from tests.support.fakes import StoryEngine
from tests.support.fidelity import FAMILIES, GROUPS, TAGS, TOKENIZER, model_of, rollouts, row_logprobs
from tests.support.reference import in_row_order, request_logprobs
from tw_plugins.advantage import p_grpo
from tw_plugins.collator import TrieCollator
from tw_plugins.rollout import Limits, fork_join
from tw_plugins.trie import TrieRow, row_from_ids, row_from_rollout, rows_from_rollout

REWARDS = torch.tensor([1.2, 0.0, 1.0, 1.1], dtype=torch.float64)


def eq4(model: Any) -> torch.Tensor:
    """Eq. 4 as the paper writes it: -1/(number of tokens) · sum of A log π over all units' tokens."""
    total, tokens = torch.zeros((), dtype=torch.float64), 0
    for i, rollout in enumerate(rollouts()):
        group = [REWARDS[j].item() for j in range(len(GROUPS)) if GROUPS[j] == GROUPS[i]]
        advantage = REWARDS[i].item() - math.fsum(group) / len(group)
        for logprobs in request_logprobs(model, rollout):
            total = total + advantage * logprobs.double().sum()
            tokens += len(logprobs)
    return -total / tokens


def row_loss(model: Any, rows: list[TrieRow], advantages: torch.Tensor) -> torch.Tensor:
    """The same as a framework does it: advantage on each row, one token mean over the batch."""
    logprobs, trained = row_logprobs(model, rows)
    return -(advantages[:, None] * logprobs.double() * trained).sum() / trained.sum()


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    grads = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([grad.flatten() for grad in grads]).double()


def test_the_rollouts_are_hard_enough() -> None:
    completions = [(call.thread, call.completion) for rollout in rollouts() for call in rollout.calls]
    last = [ids.token_ids[-1] for thread, ids in completions if thread]
    assert TAGS.eos_ids[0] in last and TAGS.thread_end in last
    assert any(rollout.limits_hit.get("max_thread_tokens") for rollout in rollouts())
    assert sum(len(row_from_rollout(rollout).branches) for rollout in rollouts()) >= 8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_logprobs_equal_those_of_the_requests(family: str, dtype: torch.dtype, tolerance: float) -> None:
    model = model_of(family, dtype)
    with torch.no_grad():
        logprobs, trained = row_logprobs(model, [row_from_rollout(rollout) for rollout in rollouts()])
        for got, where, rollout in zip(logprobs, trained, rollouts(), strict=True):
            want = in_row_order(rollout, request_logprobs(model, rollout))
            torch.testing.assert_close(got[where], want, atol=tolerance, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_the_mask_they_differ(family: str) -> None:
    """So the test above can fail: position ids alone, or a causal mask, are not enough."""
    model, rows = model_of(family, torch.float64), [row_from_rollout(rollout) for rollout in rollouts()]
    with torch.no_grad():
        right, trained = row_logprobs(model, rows)
        batch = TrieCollator(TOKENIZER.pad_token_id)(rows)
        causal = torch.ones_like(batch["attention_mask"]).tril()
        logits = model(batch["input_ids"], position_ids=batch["position_ids"], attention_mask=causal).logits
    wrong = logits[:, :-1].log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
    assert (right - wrong)[trained].abs().max() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_loss_and_gradient_equal_eq_4(family: str, dtype: torch.dtype, tolerance: float) -> None:
    """Stock models compute RMSNorm, and so its gradient, in float32 even when their weights are float64."""
    model = model_of(family, dtype)
    advantages = p_grpo(REWARDS, GROUPS)
    reference = eq4(model)
    want = gradient(model, reference)
    rows = [row_from_rollout(rollout) for rollout in rollouts()]
    loss = row_loss(model, rows, advantages)
    assert loss.item() == pytest.approx(reference.item(), rel=tolerance)
    assert (gradient(model, loss) - want).norm() <= max(tolerance, 1e-6) * want.norm()


def test_one_row_per_request_has_the_same_gradient() -> None:
    model = model_of("qwen3", torch.float64)
    per_rollout = [rows_from_rollout(rollout) for rollout in rollouts()]
    counts = torch.tensor([len(rows) for rows in per_rollout])
    advantages = p_grpo(REWARDS, GROUPS).repeat_interleave(counts)
    loss, reference = row_loss(model, [row for rows in per_rollout for row in rows], advantages), eq4(model)
    want = gradient(model, reference)
    assert (gradient(model, loss) - want).norm() <= 1e-6 * want.norm()


def test_sampled_tokens_are_trained_once_and_injected_ones_never() -> None:
    for rollout in rollouts():
        row = row_from_rollout(rollout)
        sampled = [token for call in rollout.calls for token in call.completion.token_ids]
        got = [token for token, trained in zip(row.input_ids, row.loss_mask, strict=True) if trained]
        assert sorted(got) == sorted(sampled)
        wanted = [lp for call in rollout.calls for lp in call.completion.logprobs]
        assert sorted(
            lp for lp, trained in zip(row.logprobs, row.loss_mask, strict=True) if trained
        ) == sorted(wanted)


def test_sft_loss_of_the_model_is_the_mean_over_the_units() -> None:
    """HF's own loss on our labels: the joined trajectory and each thread 2..n, each token once."""
    engine = StoryEngine(7, TAGS, blocks=2)
    rollout = asyncio.run(fork_join(engine, TAGS.encode("problem"), TAGS, Limits()))
    ids, prompt = rollout.prompt_ids + rollout.response_ids, len(rollout.prompt_ids)
    batch = TrieCollator(TOKENIZER.pad_token_id)([row_from_ids(ids, TAGS, prompt)])
    model = model_of("llama", torch.float64)
    names = ("input_ids", "position_ids", "attention_mask", "labels")
    with torch.no_grad():
        got = model(**{name: batch[name] for name in names}).loss
        whole = model(torch.tensor([ids])).logits[0, prompt - 1 : -1].log_softmax(-1)
        units = request_logprobs(model, rollout)
    terms = [whole[range(len(ids) - prompt), ids[prompt:]]]
    terms += [lp for lp, call in zip(units, rollout.calls, strict=True) if call.thread and call.thread > 1]
    assert len(terms) > 2
    torch.testing.assert_close(got, -torch.cat(terms).mean(), atol=1e-6, rtol=0, check_dtype=False)


def test_a_row_is_much_shorter_than_its_requests() -> None:
    row, rows = row_from_rollout(rollouts()[0]), rows_from_rollout(rollouts()[0])
    assert 2 * len(row) < sum(len(one) for one in rows)
