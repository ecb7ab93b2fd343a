"""verl's FSDP engine on trie rows computes what separate rows compute: log-probs, loss, gradient."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3ForCausalLM
from verl.trainer.ppo.padding_utils import construct_minimal_padding_template
from verl.utils import tensordict_utils as tu
from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator
from verl.workers.engine.base import EngineRegistry
from verl.workers.utils.losses import sft_loss

from tests.support.agents import agent, depth_of
from tests.support.agents import wanted as log_probs_of
from tests.support.masks import lose_branches, record_masks
from tests.support.reference import in_row_order, request_logprobs
from tests.support.same_on_both import distance
from tests.support.verl.engines import (
    ATTENTION,
    DYNAMIC,
    FUSED,
    PACKED,
    as_stored,
    batch_of,
    gradient,
    log_probs,
    make_worker,
    plain,
    policy_gradient,
    response_log_probs,
    stories,
    tiny_model,
)
from tests.support.verl.eq4 import GROUPS, advantages_of_verl, eq4, rows_of
from tests.support.verl.loops import TAGS
from tw_plugins.attention import UnsupportedAttention
from tw_plugins.trie import TrieRow, row_from_ids, row_from_rollout, row_from_units
from tw_plugins.trie.compact import CompactRows
from tw_plugins.trie.packing import Pack, PackedRows
from verl_ext.row_output import row_output
from verl_ext.row_positions import CutRow
from verl_ext.trie_engine import TrieEngine, UnsupportedEngine

BATCHES: dict[str, dict[str, Any]] = {
    "padded": {},
    "packed": PACKED,
    "padded, one row each": {"micro_batch_size_per_gpu": 1},
    "packed, two rows each": {**PACKED, "micro_batch_size_per_gpu": 2},
    "padded, dynamic": DYNAMIC,
    "packed, dynamic": {**PACKED, **DYNAMIC},
}


@pytest.fixture(scope="module", params=["sdpa", "trie"])
def worker(model: Path, request: pytest.FixtureRequest) -> Any:
    return make_worker(model, f"{ATTENTION}={request.param}")


# ---------------------------------------------------------------- what is to be computed


def row_log_probs(model: Any, row: TrieRow) -> torch.Tensor:
    """The trained tokens of an SFT row: a plain forward of the main path, one more per branch."""
    end = row.branches[0].start if row.branches else len(row)
    units = [(row.input_ids[:end], 0, 0)]
    units += [
        (
            row.input_ids[: branch.fork] + row.input_ids[branch.start :][: branch.length],
            branch.fork,
            branch.start,
        )
        for branch in row.branches
    ]
    found = []
    for ids, first, start in units:
        logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for place in range(max(first, 1), len(ids)):
            if row.loss_mask[start + place - first]:
                found.append(logits[place - 1, ids[place]])
    return torch.stack(found)


# ---------------------------------------------------------------- log-probs


def test_verl_picks_our_engine(worker: Any) -> None:
    assert isinstance(worker.engine, TrieEngine)
    assert EngineRegistry.get_engine_cls("language_model", "fsdp") is TrieEngine


def test_the_rows_are_hard_enough(trie: Any) -> None:
    assert sum(len(output.extra_fields["threadweaver_row"]["branches"]) for _, (output,) in trie) >= 8
    assert {*TAGS.eos_ids, TAGS.thread_end} <= {
        call.completion.token_ids[-1] for rollout, _ in trie for call in rollout.calls if call.thread
    }


@pytest.mark.parametrize("how", BATCHES)
def test_rl_rows_equal_their_requests(worker: Any, trie: Any, wanted: Any, how: str) -> None:
    got = response_log_probs(worker, rows_of(trie), **BATCHES[how])
    for values, want in zip(got, wanted, strict=True):
        torch.testing.assert_close(values, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["padded", "packed", "packed, dynamic"])
def test_rows_of_any_depth_equal_their_requests(worker: Any, reference: Any, how: str) -> None:
    agents = [agent(seed) for seed in range(3)]
    rows = [row_from_units(calls) for calls in agents]
    assert max(map(depth_of, rows)) > 2
    got = response_log_probs(worker, [as_stored(row_output(row, 2)) for row in rows], **BATCHES[how])
    with torch.no_grad():
        for values, calls, row in zip(got, agents, rows, strict=True):
            torch.testing.assert_close(values, log_probs_of(reference, calls, row), atol=1e-5, rtol=0)


def test_a_row_that_was_cut_ends_the_run(worker: Any, trie: Any) -> None:
    """As plain text, without its branches, it would be trained without a word."""
    rows = rows_of(trie)
    names = ("responses", "response_mask", "rollout_log_probs", "input_ids", "position_ids", "loss_mask")
    rows[1] = {**rows[1], **{name: rows[1][name][:-1] for name in names}}
    with pytest.raises(CutRow, match=r"loop gave \d+ tokens comes to the engine with"):
        log_probs(worker, batch_of(rows))


def test_with_verls_own_engine_they_differ(worker: Any, trie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    right = torch.cat(response_log_probs(worker, rows_of(trie)))
    monkeypatch.setattr(TrieEngine, "prepare_model_inputs", TrieEngine.__mro__[1].prepare_model_inputs)
    assert (torch.cat(response_log_probs(worker, rows_of(trie))) - right).abs().max() > 0.1


@pytest.mark.parametrize("how", ["padded", "packed", "padded, dynamic", "packed, dynamic"])
def test_sft_rows_equal_their_units(worker: Any, reference: Any, trie: Any, how: str) -> None:
    """SFT rows carry restarted position ids and nothing else."""
    rows = []
    for rollout, _ in trie:
        ids, prompt = rollout.prompt_ids + rollout.response_ids, len(rollout.prompt_ids)
        rows.append(row_from_ids(ids, TAGS, prompt))
    batch = sft_batch(rows, **BATCHES[how])
    values = log_probs(worker, batch)
    with torch.no_grad():
        for row, value in zip(rows, values.unbind(), strict=True):
            got = value[:-1][torch.tensor(row.loss_mask[1:]).bool()]
            torch.testing.assert_close(got, row_log_probs(reference, row), atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["padded", "packed", "packed, dynamic"])
@pytest.mark.parametrize("branched", [True, False])
def test_packs_equal_their_rows(worker: Any, reference: Any, trie: Any, branched: bool, how: str) -> None:
    """Without branches too, where verl's own mask would let a row see the one before it."""
    rows = [TrieRow([5, 6, 7, 8, 9], [0, 1, 2, 3, 4], [0, 1, 1, 1, 1]), TrieRow([9, 7], [0, 1], [0, 1])]
    if branched:
        rows += [row_from_rollout(rollout) for rollout, _ in trie]
    packs = PackedRows(CompactRows(rows), [[*range(len(rows))], [1, 0]])
    batch = sft_batch(list(packs), **BATCHES[how])
    values = log_probs(worker, batch).unbind()
    with torch.no_grad():
        alone = [row_log_probs(reference, row) for row in rows]
    for pack, value, members in zip(packs, values, packs._packs, strict=True):
        got = value[:-1][torch.tensor(pack.loss_mask[1:]).bool()]
        torch.testing.assert_close(got, torch.cat([alone[i] for i in members]), atol=1e-5, rtol=0)


def sft_batch(rows: Sequence[TrieRow | Pack], **how: Any) -> Any:
    """As verl's SFT trainer makes it of the data set's examples."""
    names = ("input_ids", "position_ids", "loss_mask")
    examples = [{name: torch.tensor(getattr(row, name)) for name in names} for row in rows]
    settings = {"temperature": 1.0, "use_remove_padding": False, "use_dynamic_bsz": False}
    settings |= {"micro_batch_size_per_gpu": len(rows), "pad_mode": DatasetPadMode.NO_PADDING}
    collated = SFTTensorCollator(DatasetPadMode.NO_PADDING)(examples)
    return tu.get_tensordict(tensor_dict=collated, non_tensor_dict={**settings, **how})


@pytest.mark.parametrize("how", ["padded", "packed"])
def test_flex_attention(model: Path, trie: Any, wanted: Any, how: str) -> None:
    """Forward only: torch has no FlexAttention backward on the CPU."""
    torch._dynamo.reset()  # for a second length torch 2.13 writes C++ for any, which does not compile
    flex = make_worker(model, f"{ATTENTION}=flex_attention")
    got = response_log_probs(flex, rows_of(trie), **BATCHES[how])
    for values, want in zip(got, wanted, strict=True):
        torch.testing.assert_close(values, want, atol=1e-5, rtol=0)


def test_attention_that_is_wrong_here_ends_the_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_branches(monkeypatch)
    with pytest.raises(UnsupportedAttention, match="sdpa computes rows with branches wrongly on this cpu"):
        make_worker(model)


@pytest.mark.parametrize("how", ["padded", "packed", "packed, dynamic"])
def test_verls_filling_rows_change_nothing(worker: Any, trie: Any, how: str) -> None:
    """They copy the first row's `extra_fields`, branches included."""
    rows = rows_of(trie)
    filling, _ = construct_minimal_padding_template(rows[0], {}, TAGS.eos_ids[0])
    assert filling["extra_fields"]["threadweaver_row"]["branches"]
    alone = response_log_probs(worker, rows, **BATCHES[how])
    filled = response_log_probs(worker, [*rows, filling], **{**BATCHES[how], "micro_batch_size_per_gpu": 5})
    for without, with_filling in zip(alone, filled[:-1], strict=True):
        torch.testing.assert_close(without, with_filling, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["padded", "packed"])
def test_rows_without_branches(
    worker: Any, model: Path, reference: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl's own path with SDPA; a plan under "trie", where transformers would make a dense mask of packs."""
    made = stories(model, GROUPS, "rows")
    masks = record_masks(monkeypatch, "verl_ext.trie_engine")
    got = response_log_probs(worker, rows_of(made), **BATCHES[how])
    with torch.no_grad():
        want = [value for rollout, _ in made for value in request_logprobs(reference, rollout)]
    torch.testing.assert_close(torch.cat(got), torch.cat(want), atol=1e-5, rtol=0)
    planned = worker.engine.module.config._attn_implementation == "trie"
    assert {mask.dtype for mask in masks} == ({torch.int64} if planned else set())


# ---------------------------------------------------------------- gradient


@pytest.mark.parametrize("how", ["padded", "packed", "packed, two rows each", "packed, dynamic"])
def test_the_gradient_of_p_grpo_is_that_of_eq_4(worker: Any, trie: Any, paper: Any, how: str) -> None:
    rows = rows_of(trie)
    _, got = policy_gradient(worker, rows, advantages_of_verl(rows), **BATCHES[how])
    assert distance(got, paper) <= 1e-5


def test_gradient_checkpointing_changes_nothing(model: Path, trie: Any, paper: Any) -> None:
    checkpointing = make_worker(model, "actor_rollout_ref.model.enable_gradient_checkpointing=true")
    assert checkpointing.engine.module.is_gradient_checkpointing
    rows = rows_of(trie)
    _, got = policy_gradient(checkpointing, rows, advantages_of_verl(rows))
    assert distance(got, paper) <= 1e-5


@pytest.fixture
def plain_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fused kernels verl replaces the forward of the model's class; afterwards it is back as it was."""
    monkeypatch.setattr(Qwen3ForCausalLM, "forward", Qwen3ForCausalLM.forward)


@pytest.mark.usefixtures("plain_forward")
@pytest.mark.parametrize("how", ["padded", "packed"])
def test_fused_kernels_change_nothing(model: Path, trie: Any, wanted: Any, paper: Any, how: str) -> None:
    """Log-probs straight from the hidden states."""
    rows = rows_of(trie)
    fused = make_worker(model, FUSED)
    kernels = {**BATCHES[how], "use_fused_kernels": True}
    torch.testing.assert_close(response_log_probs(fused, rows, **kernels), wanted, atol=1e-5, rtol=0)
    _, got = policy_gradient(fused, rows, advantages_of_verl(rows), **kernels)
    assert distance(got, paper) <= 1e-5


@pytest.mark.usefixtures("plain_forward")
@pytest.mark.parametrize("fused", [False, True])
def test_a_head_of_its_own(tmp_path: Path, trie: Any, fused: bool) -> None:
    """As Qwen3-8B has it; `verl_ext.own_head` can go once this passes without it."""
    model, rollouts = tiny_model(tmp_path, tied=False), [rollout for rollout, _ in trie]
    stock, paper = plain(model), eq4(model, rollouts)
    assert "lm_head.weight" in paper
    with torch.no_grad():
        wanted = [in_row_order(rollout, request_logprobs(stock, rollout)) for rollout in rollouts]
    worker, kernels = make_worker(model, *([FUSED] if fused else [])), {**PACKED, "use_fused_kernels": fused}
    rows = rows_of(trie)
    torch.testing.assert_close(response_log_probs(worker, rows, **kernels), wanted, atol=1e-5, rtol=0)
    _, got = policy_gradient(worker, rows, advantages_of_verl(rows), **kernels)
    assert distance(got, paper) <= 1e-5


@pytest.mark.usefixtures("plain_forward")
def test_without_ours_verl_fails_on_a_head_of_its_own(
    tmp_path: Path, trie: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once this fails `verl_ext.own_head` can go."""
    monkeypatch.setattr("verl_ext.trie_engine.in_the_roots_unit", nullcontext)
    worker = make_worker(tiny_model(tmp_path, tied=False), FUSED)
    with pytest.raises(RuntimeError, match=r"mixed .* DTensor"):
        response_log_probs(worker, rows_of(trie), **PACKED, use_fused_kernels=True)


def test_both_layouts_have_the_same_gradient(worker: Any, model: Path, trie: Any, paper: Any) -> None:
    advantages = advantages_of_verl(rows_of(trie))
    made = stories(model, GROUPS, "rows")
    per_row = [a for a, (_, outputs) in zip(advantages, made, strict=True) for _ in outputs]
    _, got = policy_gradient(worker, rows_of(made), per_row)
    assert distance(got, paper) <= 1e-5


def test_the_sft_loss_is_the_mean_over_all_trained_tokens(worker: Any, reference: Any, trie: Any) -> None:
    rows = [
        row_from_ids(rollout.prompt_ids + rollout.response_ids, TAGS, len(rollout.prompt_ids))
        for rollout, _ in trie
    ]
    got, _ = gradient(worker, sft_batch(rows, micro_batch_size_per_gpu=2), partial(sft_loss, config=None))
    with torch.no_grad():
        want = -torch.cat([row_log_probs(reference, row) for row in rows]).mean()
    assert got == pytest.approx(want.item(), abs=1e-5)


# ---------------------------------------------------------------- refused


def test_attention_without_a_mask_is_refused(worker: Any, trie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.engine.module.config, "_attn_implementation_internal", "flash_attention_2")
    with pytest.raises(
        UnsupportedEngine, match=r"need attn_implementation=sdpa .*flash_attention_2.*layout=rows"
    ):
        response_log_probs(worker, rows_of(trie))
