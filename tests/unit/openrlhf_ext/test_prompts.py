"""Prompts through OpenRLHF's own loaders: any source, each as it was meant, the rest counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openrlhf import datasets as upstream
from openrlhf.datasets import utils
from transformers import AutoTokenizer

from openrlhf_ext.data_check import check_responses, check_shares
from openrlhf_ext.settings import ENVIRONMENT
from tests.support import chat, published
from tests.support.published import FILES, NO_FILES, NO_PROMPTS
from tw_plugins.datasets.holes import BadRowError
from tw_plugins.storage.parquet import DataFileError

Toy = dict[str, Path]
STRATEGY = SimpleNamespace(print=lambda *_: None, is_rank_0=lambda: False, args=SimpleNamespace(use_ms=False))
PUBLISHED: list[dict[str, Any]] = [
    {"prompt": [{"role": "user", "content": "1+1?"}], "reward_model": {"ground_truth": "2"}},
    {"prompt": "1+1?", "answer": 2},
    {"prompt": [{"from": "human", "value": "1+1?"}], "answer": "work #### 2"},
    {"conversations": [{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}], "answer": ["2"]},
]


def written(path: Path, *rows: Any) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def prompts(dataset: Any, tokenizer: Any = None, template: str | None = None, **flags: Any) -> Any:
    flags = {"input_key": "input", "label_key": None, "apply_chat_template": template is None, **flags}
    strategy = SimpleNamespace(args=SimpleNamespace(data=SimpleNamespace(**flags)), print=print)
    return upstream.PromptDataset(dataset, tokenizer or chat.chat_tokenizer(), strategy, template)


def blended(*sources: str, probabilities: str | None = None, **more: Any) -> Any:
    return utils.blending_datasets(",".join(sources), probabilities, STRATEGY, **more)


def test_what_people_publish_is_asked_as_it_was_meant(tmp_path: Path) -> None:
    """Rows of other columns in one file, and files of other columns in one data set."""
    sources = [written(tmp_path / f"{i}.jsonl.gz", row) for i, row in enumerate(PUBLISHED)]
    sources.append(written(tmp_path / "all.jsonl", *PUBLISHED))
    made = prompts(blended(*sources))
    text = "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n"
    assert [made[i] for i in range(len(made))] == [("default", text, "2", None)] * 8
    assert made.collate_fn([made[0]]) == (["default"], [text], ["2"], [None])


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_asked_as_it_was_meant(tmp_path: Path, name: str) -> None:
    make, rows = FILES[name]
    text = f"<|im_start|>user\n{published.ASKED}<|im_end|>\n<|im_start|>assistant\n"
    made = prompts(blended(make(tmp_path)))
    assert made.prompts == [text] * rows and set(made.labels) <= {"1", "1.0"}


@pytest.mark.parametrize("name", NO_PROMPTS)
def test_a_row_that_is_none_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    row, reason = NO_PROMPTS[name]
    source = written(tmp_path / "a.jsonl", published.PUBLISHED["text"], row)
    assert len(prompts(blended(source))) == 1
    assert f"of 2 rows 1 left out, {reason}" in caplog.text and f"{source}, line 2" in caplog.text
    monkeypatch.setenv(ENVIRONMENT, '{"strict": true}')
    with pytest.raises(BadRowError, match=rf"a\.jsonl, line 2: {reason}"):
        prompts(blended(source))


@pytest.mark.parametrize("name", NO_FILES)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    make, reason = NO_FILES[name]
    with pytest.raises(DataFileError, match=reason):
        prompts(blended(make(tmp_path)))


def test_without_a_chat_template_a_text_has_its_pattern(tmp_path: Path) -> None:
    source = written(
        tmp_path / "a.jsonl", PUBLISHED[1], {"prompt": [*PUBLISHED[0]["prompt"]] * 2, "answer": 2}
    )
    made = prompts(blended(source), template="User: {}\nAssistant: ")
    assert made.prompts == ["User: 1+1?\nAssistant: "]


def test_a_problem_gets_the_instruction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = blended(written(tmp_path / "a.jsonl", {"problem": "1+1?", "answer": 2}))
    assert "1+1?\n\nLet's think step by step" in prompts(data).prompts[0]
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"instruction": ""}))
    assert "1+1?<|im_end|>" in prompts(data).prompts[0]


def test_what_is_no_prompt_is_counted_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "a.jsonl"
    written(source, PUBLISHED[1], {"prompt": "", "answer": 2}, {"prompt": "?", "answer": None})
    source.write_bytes(source.read_bytes() + b'{"half')
    data = blended(str(source))
    assert len(prompts(data)) == 1
    for reason in ("empty user message", "no reference answer", "not a whole JSON record"):
        assert f"of 4 rows 1 left out, {reason}: {source}, line" in caplog.text
    monkeypatch.setenv(ENVIRONMENT, '{"strict": true}')
    with pytest.raises(BadRowError, match=r"a\.jsonl, line 2: empty user message"):
        prompts(data)


def test_shares_and_counts_are_upstreams(tmp_path: Path) -> None:
    first = written(tmp_path / "a.jsonl", *PUBLISHED)
    second = written(tmp_path / "b.jsonl", *[{"prompt": "2+2?", "answer": 4}] * 4)
    assert len(blended(first, second, max_count=3)) == 6
    mixed = prompts(blended(first, second, probabilities="0.5,0.5", seed=1))
    assert {label for _, _, label, _ in (mixed[i] for i in range(len(mixed)))} == {"2", "4"}


@pytest.mark.parametrize("shares", ["0.5", "0.5,x", "0.5,0.6", "-0.5,1.5", "0,1", "nan,1", "", "0.2,0.3,0.5"])
def test_shares_that_do_not_fit_are_one_line(tmp_path: Path, shares: str) -> None:
    """Upstream's library waits for ever for a data set that is never drawn from."""
    first = written(tmp_path / "a.jsonl", *PUBLISHED)
    with pytest.raises(
        DataFileError, match=f"the shares '{shares}' do not fit 2 data sets: give each a number"
    ):
        blended(first, first, probabilities=shares)
    with pytest.raises(DataFileError, match=r"^--data\.prompt_probs: the shares"):
        check_shares("--data.prompt_probs", shares, f"{first},{first}")


def test_a_comma_with_nothing_behind_it_is_not_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "train.jsonl", *PUBLISHED)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFileError, match="a file of rows has no name: give one, and no comma without one"):
        blended(source, "")
    flags = SimpleNamespace(input_key="input", output_key="output")
    with pytest.raises(DataFileError, match=r"^--data\.dataset: a file of rows has no name"):
        check_responses("--data.dataset", f",{source}", "train", flags)


def test_folders_and_splits(tmp_path: Path) -> None:
    written(tmp_path / "train-0.jsonl", PUBLISHED[1])
    written(tmp_path / "test-0.jsonl", *PUBLISHED[1:3])
    assert len(blended(str(tmp_path))) == 1
    assert len(blended(str(tmp_path), dataset_split="test")) == 2
    assert len(blended(f"{tmp_path.parent}@{tmp_path.name}")) == 1


def test_other_data_sets_are_read_row_by_row(toy: Toy) -> None:
    from datasets import load_dataset

    data = load_dataset("parquet", data_files=str(toy["rl"]), split="train")
    made = prompts(data, AutoTokenizer.from_pretrained(toy["model"]), input_key="prompt", label_key="label")
    assert len(made) == len(data) and made.labels == [str(label) for label in data["label"]]
    with pytest.raises(DataFileError, match="has no column nothing for the prompt"):
        prompts(data, input_key="nothing")
