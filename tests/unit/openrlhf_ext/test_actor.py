"""OpenRLHF's Actor on trie rows computes what separate requests compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from openrlhf.utils.utils import zero_pad_sequences

from openrlhf_ext.row_codes import encode
from tests.support.agents import agent, depth_of
from tests.support.agents import wanted as log_probs_of
from tests.support.masks import lose_branches, record_masks
from tests.support.openrlhf.models import TOKENIZER, actor, plain, rollouts, tiny_model
from tests.support.reference import in_row_order, request_logprobs
from tw_plugins.attention import NotDepthFirst, UnsupportedAttention
from tw_plugins.trie import TrieRow, row_from_rollout, row_from_units
from tw_plugins.trie.compact import CompactRows
from tw_plugins.trie.packing import Pack, PackedRows


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def wanted(model: Path) -> list[torch.Tensor]:
    with torch.no_grad():
        reference = plain(model)
        return [in_row_order(rollout, request_logprobs(reference, rollout)) for rollout in rollouts()]


def batch_of(
    rows: Sequence[TrieRow | Pack], coded: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sequences, attention mask and action mask as upstream pads them."""
    ones = [torch.ones(1, len(row), dtype=torch.long) for row in rows]
    codes = [encode(row.position_ids).unsqueeze(0) for row in rows]
    return (
        zero_pad_sequences([torch.tensor([row.input_ids]) for row in rows], "right", TOKENIZER.pad_token_id),
        zero_pad_sequences(codes if coded else ones, "right"),
        zero_pad_sequences([torch.tensor([row.loss_mask[1:]]) for row in rows], "right"),
    )


def trained(model: Any, rows: Sequence[TrieRow | Pack], coded: bool = True) -> list[torch.Tensor]:
    """Per row the log-probs of its trained tokens."""
    sequences, mask, actions = batch_of(rows, coded)
    values = model(sequences, actions, attention_mask=mask)
    return [value[on.bool()] for value, on in zip(values, actions, strict=True)]


@pytest.mark.parametrize("attention", ["sdpa", "trie"])
@pytest.mark.parametrize("how", ["padded", "one at a time", "packed"])
def test_rows_equal_their_requests(model: Path, wanted: list[torch.Tensor], how: str, attention: str) -> None:
    policy = actor(model, attn_implementation=attention, packing_samples=how == "packed")
    rows = [row_from_rollout(rollout) for rollout in rollouts()]
    assert sum(len(row.branches) for row in rows) >= 8
    with torch.no_grad():
        batches = [[row] for row in rows] if how == "one at a time" else [rows]
        got = [values for batch in batches for values in trained(policy, batch)]
    for values, want in zip(got, wanted, strict=True):
        torch.testing.assert_close(values, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["sdpa", "trie"])
@pytest.mark.parametrize("packed", [False, True])
def test_rows_of_any_depth_equal_their_requests(model: Path, packed: bool, attention: str) -> None:
    policy = actor(model, attn_implementation=attention, packing_samples=packed)
    agents = [agent(seed) for seed in range(3)]
    rows = [row_from_units(calls) for calls in agents]
    assert max(map(depth_of, rows)) > 2
    with torch.no_grad():
        reference = plain(model)
        want = [log_probs_of(reference, calls, row) for calls, row in zip(agents, rows, strict=True)]
        for values, right in zip(trained(policy, rows), want, strict=True):
            torch.testing.assert_close(values, right, atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", [[0, 1, 2, 3, 4, 5, 2, 3, 5, 6], [2, 3, 4, 5], [2, 3, 2, 3]])
def test_rows_in_another_order_and_without_a_beginning_are_refused(model: Path, positions: list[int]) -> None:
    row = TrieRow([5] * len(positions), positions, [0] + [1] * (len(positions) - 1))
    with pytest.raises(NotDepthFirst, match="row 0 of the batch"):
        trained(actor(model), [row])


def test_without_codes_they_differ(model: Path, wanted: list[torch.Tensor]) -> None:
    """So the test above can fail."""
    rows = [row_from_rollout(rollout) for rollout in rollouts()]
    with torch.no_grad():
        got = torch.cat(trained(actor(model), rows, coded=False))
    assert (got - torch.cat(wanted)).abs().max() > 0.1


def test_plain_masks_take_upstreams_own_path(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openrlhf_ext.actor.mask_for", None)
    sequences = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        got = actor(model)(sequences, mask[:, 1:], attention_mask=mask)
        logits = plain(model)(input_ids=sequences[:1]).logits[0].log_softmax(-1)
    torch.testing.assert_close(got[0], logits[range(3), sequences[0, 1:]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("packed", [False, True])
def test_plain_rows_have_a_plan_under_trie(
    model: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers' own mask of packed rows is a dense one."""
    rows = [TrieRow([5, 6, 7, 8, 9], [0, 1, 2, 3, 4], [0, 1, 1, 1, 1]), TrieRow([9, 7], [0, 1], [0, 1])]
    made = record_masks(monkeypatch, "openrlhf_ext.actor")
    with torch.no_grad():
        want = trained(actor(model), rows)
        got = trained(actor(model, attn_implementation="trie", packing_samples=packed), rows)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    assert [mask.dtype for mask in made] == [torch.int64]


def test_coded_rows_without_branches_need_no_dense_mask(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [TrieRow(list(range(5, 15)), list(range(10)), [0] + [1] * 9), TrieRow([5, 6], [0, 1], [0, 1])]
    monkeypatch.setattr("openrlhf_ext.actor.mask_for", None)
    with torch.no_grad():
        got = trained(actor(model), rows)
        logits = plain(model)(input_ids=torch.tensor([rows[0].input_ids])).logits[0].log_softmax(-1)
    torch.testing.assert_close(got[0], logits[range(9), rows[0].input_ids[1:]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["sdpa", "trie"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("branched", [False, True])
def test_packs_equal_their_rows(model: Path, branched: bool, packed: bool, attention: str) -> None:
    """Without branches too, where upstream's own mask would let a row see the one before it."""
    rows = [TrieRow([5, 6, 7, 8, 9], [0, 1, 2, 3, 4], [0, 1, 1, 1, 1]), TrieRow([9, 7], [0, 1], [0, 1])]
    if branched:
        rows += [row_from_rollout(rollout) for rollout in rollouts()]
    packs = PackedRows(CompactRows(rows), [[*range(len(rows))], [1, 0]])
    policy = actor(model, attn_implementation=attention, packing_samples=packed)
    with torch.no_grad():
        alone = [trained(actor(model), [row])[0] for row in rows]
        got = trained(policy, list(packs))
    for values, members in zip(got, packs._packs, strict=True):
        torch.testing.assert_close(values, torch.cat([alone[i] for i in members]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["sdpa", "trie"])
@pytest.mark.parametrize("packed", [False, True])
def test_gradient_checkpointing_changes_nothing(model: Path, packed: bool, attention: str) -> None:
    """Checkpointed, with either attention, against SDPA without."""
    rows = [row_from_rollout(rollout) for rollout in rollouts()]
    gradients = []
    for checkpointed in (False, True):
        used = attention if checkpointed else "sdpa"
        policy = actor(model, attn_implementation=used, packing_samples=packed)
        policy.train()
        if checkpointed:
            policy.gradient_checkpointing_enable()
        torch.cat(trained(policy, rows)).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-5)


def test_attention_that_is_wrong_here_ends_the_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_branches(monkeypatch)
    with pytest.raises(UnsupportedAttention, match="sdpa computes rows with branches wrongly on this cpu"):
        actor(model)


def test_attention_without_masks_is_refused(model: Path) -> None:
    policy = actor(model)
    policy.model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(
        UnsupportedAttention, match="need attn_implementation=sdpa or eager or flex_attention"
    ):
        trained(policy, [row_from_rollout(rollouts()[0])])
