"""The SFT data set through upstream's own collator, sampler and Actor."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset, load_dataset
from openrlhf import datasets as upstream
from openrlhf.datasets import utils
from openrlhf.utils.distributed_sampler import DistributedSampler
from torchdata.stateful_dataloader import StatefulDataLoader
from transformers import AutoTokenizer

from openrlhf_ext.row_codes import decode
from openrlhf_ext.settings import ENVIRONMENT
from openrlhf_ext.sft_dataset import TrieSFTDataset
from tests.support.published import NO_EXAMPLES, TAUGHT, written
from tw_plugins.trajectory import ControlTokens, encode_trajectory
from tw_plugins.trie import promise, row_from_ids
from tw_plugins.trie.promise import UnmaskedRows

Toy = dict[str, Path]
BROKEN = "<Parallel>"
BATCH = 2


def made(toy: Toy, data: Any, max_length: int = 2048, **keys: Any) -> Any:
    keys = keys or {"input_key": "prompt", "output_key": "response"}
    settings = SimpleNamespace(**keys, apply_chat_template=True, dataset="sft")
    strategy = SimpleNamespace(args=SimpleNamespace(data=settings), seed=3, print=print)
    return upstream.SFTDataset(data, AutoTokenizer.from_pretrained(toy["model"]), max_length, strategy)


@pytest.fixture(scope="module")
def examples(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Any:
    cache = tmp_path_factory.mktemp("cache")
    return load_dataset("parquet", data_files=str(toy["sft"]), split="train", cache_dir=str(cache))


def test_upstreams_name_is_ours() -> None:
    assert upstream.SFTDataset is TrieSFTDataset


def test_no_rows_for_a_process_that_would_not_mask_them(
    toy: Toy, examples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without the hooks: another command than our launcher's."""
    monkeypatch.setattr(promise, "_promised", False)
    with pytest.raises(UnmaskedRows, match=r"plain text: .* start OpenRLHF by openrlhf_ext's commands"):
        made(toy, examples)


def test_an_example_is_a_trie_row_and_the_mask_is_shifted(toy: Toy, examples: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    tags = ControlTokens.from_tokenizer(tokenizer)
    data = made(toy, examples)
    assert len(data) == len(examples)
    branches = 0
    for index in range(20):
        prompt = tokenizer.apply_chat_template(
            examples[index]["prompt"], add_generation_prompt=True, return_dict=False
        )
        ids = [*prompt, *encode_trajectory(examples[index]["response"], tags), tokenizer.eos_token_id]
        want = row_from_ids(ids, tags, len(prompt))
        input_ids, codes, loss = data[index]
        assert input_ids.tolist() == [want.input_ids]
        assert decode(codes).tolist() == [want.position_ids]
        assert loss.tolist() == [[*want.loss_mask[1:], 0]]
        branches += len(want.branches)
    assert branches > 5


def by_usual_names(toy: Toy, source: str) -> Any:
    strategy = SimpleNamespace(print=lambda *_: None, is_rank_0=lambda: False)
    return made(toy, utils.blending_datasets(source, None, strategy), input_key="input", output_key=None)


def test_what_people_publish_is_trained_as_it_was_meant(toy: Toy, tmp_path: Path) -> None:
    """Rows of other columns in one file all come to one row."""
    data = by_usual_names(toy, written(tmp_path / "sft.jsonl.gz", *TAUGHT.values()))
    (want,) = by_usual_names(toy, written(tmp_path / "one.jsonl", TAUGHT["two columns"])).rows
    assert [row.input_ids for row in data.rows] == [want.input_ids] * len(TAUGHT)
    assert [row.loss_mask for row in data.rows] == [want.loss_mask] * len(TAUGHT)


@pytest.mark.parametrize("name", NO_EXAMPLES)
def test_a_row_that_is_none_is_left_out_with_its_reason(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    row, reason = NO_EXAMPLES[name]
    source = written(tmp_path / "sft.jsonl", TAUGHT["two columns"], row)
    assert len(by_usual_names(toy, source)) == 1
    assert f"1 left out, {reason}" in caplog.text and f"{source}, line 2" in caplog.text
    monkeypatch.setenv(ENVIRONMENT, '{"strict": true}')
    with pytest.raises(ValueError, match=rf"sft\.jsonl, line 2: {reason}"):
        by_usual_names(toy, source)


def test_upstreams_collator_pads_it(toy: Toy, examples: Any) -> None:
    data = made(toy, examples)
    rows = [data[index] for index in range(4)]
    ids, codes, loss = data.collate_fn(rows)
    assert ids.shape == codes.shape == loss.shape == (4, max(row[0].shape[1] for row in rows))
    for batch, (row, *_) in zip(codes, rows, strict=True):
        assert int((batch > 0).sum()) == row.shape[1]


def test_keep_order_through_upstreams_sampler(
    toy: Toy, examples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file = [row.input_ids for row in made(toy, examples).rows]
    monkeypatch.setenv(ENVIRONMENT, '{"keep_order": true}')
    data = made(toy, examples)
    sampler = DistributedSampler(data, num_replicas=1, rank=0, shuffle=True, seed=3, drop_last=True)
    assert [data.rows[index].input_ids for index in sampler] == in_file
    assert [row.input_ids for row in data.rows] != in_file


def test_packs(toy: Toy, examples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made(toy, examples)
    monkeypatch.setenv(ENVIRONMENT, '{"pack_tokens": 2100}')
    packs = made(toy, examples)
    sizes = [packs[index][0].shape[1] for index in range(len(packs))]
    assert len(packs) < len(rows) / 4 and max(sizes) <= 2100 and sum(sizes) == sum(map(len, rows.rows))
    assert all(int((decode(packs[index][1]) == 0).sum()) > 1 for index in range(len(packs)))
    with pytest.raises(ValueError, match="pack_tokens is 2100, less than the 2101 tokens"):
        made(toy, examples, max_length=2101)


@pytest.mark.parametrize("keep_order", [False, True])
def test_packs_go_on_where_a_checkpoint_was_made(
    toy: Toy, examples: Any, monkeypatch: pytest.MonkeyPatch, keep_order: bool
) -> None:
    """In the middle of the second epoch, by the count of samples as `SFTTrainer.fit` keeps and uses it."""
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"pack_tokens": 600, "keep_order": keep_order}))
    loader = loader_of(toy, examples)
    epochs = [batches(loader, epoch, consumed=0) for epoch in range(2)]
    consumed = (len(loader) + 3) * BATCH
    again = loader_of(toy, examples)
    start_epoch, consumed_in_epoch = divmod(consumed, len(again) * BATCH)
    rest = batches(again, start_epoch, consumed_in_epoch)
    assert start_epoch == 1 and rest == epochs[1][3:] and len(rest) > 3
    assert epochs[0][3:] != epochs[1][3:]


def loader_of(toy: Toy, examples: Any) -> Any:
    """As `DeepspeedStrategy.setup_dataloader` builds it for `train_sft`."""
    packs = made(toy, examples, max_length=500)
    sampler = DistributedSampler(packs, num_replicas=1, rank=0, shuffle=True, seed=3, drop_last=True)
    return StatefulDataLoader(
        packs, batch_size=BATCH, sampler=sampler, drop_last=True, collate_fn=packs.collate_fn
    )


def batches(loader: Any, epoch: int, consumed: int) -> list[Any]:
    """Ids of each batch of an epoch that has seen so many samples."""
    loader.sampler.set_epoch(epoch, consumed_samples=consumed)
    return [ids.tolist() for ids, _, _ in loader]


def test_malformed_ones_are_counted_or_an_error(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"prompt": [{"role": "user", "content": "a0"}], "response": text} for text in ("a0", BROKEN)]
    data = made(toy, Dataset.from_list(rows))
    assert len(data) == 1 and data.left_out.total() == 1
    monkeypatch.setenv(ENVIRONMENT, '{"strict": true}')
    with pytest.raises(ValueError, match="sft, row 1: unclosed: "):
        made(toy, Dataset.from_list(rows))


def test_overlong_rows_name_the_flag(toy: Toy, examples: Any) -> None:
    with pytest.raises(ValueError, match="no example is left"):
        made(toy, examples, max_length=3)


def test_values_are_what_the_trainer_expects(toy: Toy, examples: Any) -> None:
    ids, codes, loss = made(toy, examples)[0]
    assert (ids.dtype, codes.dtype, loss.dtype) == (torch.long, torch.long, torch.float32)
