"""The SFT data set, through verl's own loader, sampler and collator."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler
from transformers import AutoTokenizer
from verl.trainer.sft_trainer import SFTTrainer, create_sft_dataset
from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

from tests.support.published import NO_EXAMPLES, TAUGHT, written
from tests.support.verl.configs import sft_config
from tw_plugins.sft.order import unshuffled
from tw_plugins.trajectory import ControlTokens, encode_trajectory
from tw_plugins.trie import row_from_ids

Toy = dict[str, Path]
THREADS = (
    "<think>\n<Parallel>\n<Outlines>\n<Outline>1: a0</Outline>\n<Outline>2: b1</Outline>\n</Outlines>\n"
    "<Thread>\n1: a1\n</Thread><Thread>\n2: b2\n</Thread>\n</Parallel>\n</think>\\boxed{3}"
)
PLAIN = "<think>\na1\n</think>\\boxed{1}"
BROKEN = THREADS.replace("<Thread>\n2:", "<Thread>\n3:")


def write(folder: Path, *responses: str, name: str = "sft.parquet") -> Path:
    prompts = [[{"role": "user", "content": f"a{index % 6}?"}] for index in range(len(responses))]
    pq.write_table(pa.table({"prompt": prompts, "response": list(responses)}), folder / name)
    return folder / name


def dataset(toy: Toy, path: Any, *settings: str, max_samples: int = -1) -> Any:
    config = sft_config(toy, *settings)
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    return create_sft_dataset(path, config.data, tokenizer, None, max_samples=max_samples)


def test_an_example_is_a_trie_row(toy: Toy, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    tags = ControlTokens.from_tokenizer(tokenizer)
    prompt = tokenizer.encode("a0?")
    ids = [*prompt, *encode_trajectory(THREADS, tags), tokenizer.eos_token_id]
    for autoregressive_unit in (True, False):
        want = row_from_ids(ids, tags, len(prompt), autoregressive_unit)
        unit = f"data.threadweaver.autoregressive_unit={autoregressive_unit}"
        got = dataset(toy, str(write(tmp_path, THREADS)), unit)[0]
        assert {name: values.tolist() for name, values in got.items()} == {
            "input_ids": want.input_ids,
            "position_ids": want.position_ids,
            "loss_mask": want.loss_mask,
        }
        assert want.branches
        assert all(values.dtype == torch.long for values in got.values())


def test_what_people_publish_is_trained_as_it_was_meant(toy: Toy, tmp_path: Path) -> None:
    """Rows of other columns in one file all come to one row."""
    data = dataset(toy, written(tmp_path / "sft.jsonl.gz", *TAUGHT.values()))
    (want,) = dataset(toy, written(tmp_path / "one.jsonl", TAUGHT["two columns"]))
    assert len(data) == len(TAUGHT)
    for row in data:
        assert all(torch.equal(row[name], want[name]) for name in want)


@pytest.mark.parametrize("name", NO_EXAMPLES)
def test_a_row_that_is_none_is_left_out_with_its_reason(
    toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    row, reason = NO_EXAMPLES[name]
    source = written(tmp_path / "sft.jsonl", TAUGHT["two columns"], row)
    assert len(dataset(toy, source, "data.threadweaver.strict=false")) == 1
    assert f"1 left out, {reason}" in caplog.text and f"{source}, line 2" in caplog.text
    with pytest.raises(SystemExit, match=rf"sft\.jsonl, line 2: {reason}"):
        dataset(toy, source, "data.threadweaver.strict=true")


def test_a_prompt_is_encoded_as_in_rl(toy: Toy, tmp_path: Path) -> None:
    """verl's agent loops build prompts with its continuous token builder."""
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] == 'user' and 'U0' or 'V0' }}{{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}V1{% endif %}"
    )
    config = sft_config(toy)
    examples = create_sft_dataset(str(write(tmp_path, PLAIN)), config.data, tokenizer, None)
    want = create_continuous_token_builder(tokenizer, hf_model_type="qwen3").build_initial_tokens(
        [{"role": "user", "content": "a0?"}]
    )
    row = examples[0]
    assert row["input_ids"][: row["loss_mask"].argmax()].tolist() == list(want)


def test_malformed_ones_are_counted_and_left_out(
    toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, PLAIN, BROKEN, THREADS, BROKEN)
    examples = dataset(toy, str(path), "data.threadweaver.strict=false")
    assert len(examples) == 2
    assert list(examples.left_out.values()) == [2]
    (line,) = [message for message in caplog.messages if "left out" in message]
    assert re.search(r"^of 4 examples 2 left out, \w+: .*sft.parquet, row 1 \(.*sft.parquet, row 3 \(", line)


def test_strict_names_the_first_malformed_one(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"sft\.parquet, row 1: \w+: .*Mend or remove the row"):
        dataset(toy, str(write(tmp_path, PLAIN, BROKEN)), "data.threadweaver.strict=true")


def test_overlong_ones_count_the_whole_row(toy: Toy, tmp_path: Path) -> None:
    path = str(write(tmp_path, PLAIN, THREADS))
    lengths = [len(row) for row in dataset(toy, path).rows]
    settings = [f"data.max_length={max(lengths) - 1}", "data.threadweaver.strict=false"]
    examples = dataset(toy, path, *settings)
    assert examples.left_out == {"too long": 1} and len(examples) == 1
    assert len(dataset(toy, path, f"data.max_length={max(lengths)}")) == 2
    with pytest.raises(SystemExit, match=rf"sft.parquet, row 1: too long: {max(lengths)} tokens"):
        dataset(toy, path, f"data.max_length={max(lengths) - 1}")


@pytest.mark.parametrize("responses", [[], [BROKEN]])
def test_nothing_left_is_an_error(toy: Toy, tmp_path: Path, responses: list[str]) -> None:
    message = r"has no rows|no example is left; 1 left out, \w+: .*row 0"
    with pytest.raises(SystemExit, match=message):
        dataset(toy, str(write(tmp_path, *responses)), "data.threadweaver.strict=false")


def test_a_missing_column_is_named(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no column answer for the response; it has prompt, response"):
        dataset(toy, str(write(tmp_path, PLAIN)), "data.threadweaver.response_key=answer")


def test_an_unknown_option_is_named(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"data.threadweaver has no setting stric; .*mean strict\?"):
        dataset(toy, str(write(tmp_path, PLAIN)), "data.threadweaver.stric=true")


def test_several_files_and_max_samples(toy: Toy, tmp_path: Path) -> None:
    files = [str(write(tmp_path, PLAIN, THREADS)), str(write(tmp_path, THREADS, name="more.parquet"))]
    assert len(dataset(toy, files)) == 3
    assert len(dataset(toy, files, max_samples=2)) == 2
    assert len(dataset(toy, files, max_samples=1)) == 1


def test_packs(toy: Toy) -> None:
    """All tokens of all rows in fewer examples, each within the budget; the same on every start."""
    rows = dataset(toy, str(toy["sft"]))
    packing = ("data.threadweaver.pack_tokens=2100", "data.threadweaver.keep_order=false")
    packs = dataset(toy, str(toy["sft"]), *packing)
    sizes = [len(packs[index]["input_ids"]) for index in range(len(packs))]
    assert len(packs) < len(rows) / 4 and max(sizes) <= 2100
    assert sum(sizes) == sum(map(len, rows.rows))
    assert all(int((pack["position_ids"] == 0).sum()) > 1 for pack in packs)
    assert list(dataset(toy, str(toy["sft"]), *packing).rows) == list(packs.rows)
    with pytest.raises(SystemExit, match="pack_tokens is 9, less than the 2048 tokens"):
        dataset(toy, str(toy["sft"]), "data.threadweaver.pack_tokens=9")


@pytest.mark.parametrize("length", [1, 2, 7, 128])
def test_verls_sampler_gives_the_order_of_the_file(length: int) -> None:
    order = unshuffled(length)
    sampler = DistributedSampler(range(length), shuffle=True, num_replicas=1, rank=0, drop_last=True)
    assert [order[index] for index in sampler] == list(range(length))
    sampler.set_epoch(1)
    assert length < 7 or [order[index] for index in sampler] != list(range(length))


def test_keep_order_through_verls_loader(toy: Toy) -> None:
    """As `SFTTrainer._build_dataloader` builds it."""
    examples = dataset(toy, str(toy["sft"]))
    sampler = DistributedSampler(examples, shuffle=True, num_replicas=1, rank=0, drop_last=True)
    collate = SFTTensorCollator(DatasetPadMode.NO_PADDING)
    batches = list(DataLoader(examples, batch_size=16, sampler=sampler, collate_fn=collate))
    got = [row.tolist() for batch in batches for row in batch["input_ids"].unbind()]
    in_order = dataset(toy, str(toy["sft"]), "data.threadweaver.keep_order=false")
    assert got == [row.input_ids for row in in_order.rows]
    assert got != [row.input_ids for row in examples.rows]
    positions = [row.tolist() for batch in batches for row in batch["position_ids"].unbind()]
    assert positions == [row.position_ids for row in in_order.rows]


@pytest.mark.parametrize("keep_order", [False, True])
def test_packs_go_on_where_a_checkpoint_was_made(toy: Toy, keep_order: bool) -> None:
    """In the middle of the second epoch, with the loader that verl's trainer builds and its state."""
    trainer = trainer_of(toy, keep_order)
    epochs: list[list[Any]] = []
    for epoch in range(2):
        trainer.train_sampler.set_epoch(epoch)
        epochs.append([])
        for batch in trainer.train_dataloader:
            epochs[-1].append(ids_of(batch))
            if (epoch, len(epochs[-1])) == (1, 3):
                state = pickle.dumps(trainer.train_dataloader.state_dict())
    again = trainer_of(toy, keep_order)
    again.train_dataloader.load_state_dict(pickle.loads(state))
    again.train_sampler.set_epoch(1)
    rest = [ids_of(batch) for batch in again.train_dataloader]
    assert rest == epochs[1][3:] and len(rest) > 3
    assert epochs[0][3:] != epochs[1][3:]


def trainer_of(toy: Toy, keep_order: bool) -> Any:
    """What `SFTTrainer` has when it builds its loader, and then the loader; packs of a few rows each."""
    config = sft_config(
        toy,
        "data.max_length=500",
        "data.threadweaver.pack_tokens=600",
        f"data.threadweaver.keep_order={str(keep_order).lower()}",
        "data.train_batch_size=2",
        "data.num_workers=0",
    )
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    trainer = SimpleNamespace(
        config=config,
        engine=SimpleNamespace(get_data_parallel_rank=lambda: 0, get_data_parallel_size=lambda: 1),
        train_dataset=create_sft_dataset(str(toy["sft"]), config.data, tokenizer, None),
        val_dataset=None,
    )
    SFTTrainer._build_dataloader(trainer)
    return trainer


def ids_of(batch: Any) -> list[list[int]]:
    return [pack.tolist() for pack in batch["input_ids"].unbind()]
