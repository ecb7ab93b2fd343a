"""RL's prompts through verl's own loader: any source, each prompt as it was meant, the rest counted."""

from __future__ import annotations

import gzip
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer
from verl.trainer.ppo.v1.trainer_base import create_rl_dataset

from tests.support import published
from tests.support.published import FILES, NO_FILES, NO_PROMPTS
from tests.support.verl.configs import rl_config
from tw_plugins.datasets.holes import BadRowError
from tw_plugins.settings import SettingsError
from tw_plugins.storage.parquet import DataFileError
from verl_ext.files import check_prompt_files

Toy = dict[str, Path]
ASKED = [{"role": "user", "content": "a1?"}]


def written(path: Path, *rows: Any) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def config_of(toy: Toy, folder: Path, *settings: str) -> Any:
    return rl_config(toy, f"data.cache_dir={folder / 'cache'}", *settings).data


def prompts(toy: Toy, folder: Path, source: Any, *settings: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    return create_rl_dataset(source, config_of(toy, folder, *settings), tokenizer, None)


PUBLISHED: list[dict[str, Any]] = [
    {
        "prompt": ASKED,
        "reward_model": {"ground_truth": "1"},
        "data_source": "here",
        "extra_info": {"index": 7},
    },
    {"prompt": "a1?", "answer": 1},
    {"prompt": [{"from": "human", "value": "a1?"}], "answer": "work #### 1"},
    {"conversations": [{"role": "user", "content": [{"type": "text", "text": "a1?"}]}], "answer": ["1"]},
]


@pytest.mark.parametrize("row", PUBLISHED)
def test_what_people_publish_is_asked_as_it_was_meant(toy: Toy, tmp_path: Path, row: dict[str, Any]) -> None:
    (item,) = prompts(toy, tmp_path, written(tmp_path / "rl.jsonl.gz", row))
    assert item["raw_prompt"] == ASKED and item["reward_model"]["ground_truth"] == "1"
    assert item["data_source"] == row.get("data_source", "rl.jsonl")
    assert item["extra_info"]["index"] == row.get("extra_info", {}).get("index", 0)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_asked_as_it_was_meant(toy: Toy, tmp_path: Path, name: str) -> None:
    make, rows = FILES[name]
    items = list(prompts(toy, tmp_path, make(tmp_path)))
    assert [item["raw_prompt"] for item in items] == [ASKED] * rows
    assert {item["reward_model"]["ground_truth"] for item in items} <= {"1", "1.0"}


def test_rows_that_are_none_are_left_out_each_with_its_reason(
    toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [published.PUBLISHED["text"], *(row for row, _ in NO_PROMPTS.values())]
    source = written(tmp_path / "a.jsonl", *rows)
    assert len(prompts(toy, tmp_path, source)) == 1
    lines = {reason: line for line, (_, reason) in reversed([*enumerate(NO_PROMPTS.values(), 2)])}
    of_each = Counter(reason for _, reason in NO_PROMPTS.values())
    for reason, line in lines.items():
        (said,) = [message for message in caplog.messages if f" left out, {reason}" in message]
        assert f"of {len(rows)} rows {of_each[reason]} left out, {reason}" in said
        assert f"{source}, line {line}" in said


@pytest.mark.parametrize("name", NO_PROMPTS)
def test_a_row_that_is_none_is_refused_where_that_is_asked_for(toy: Toy, tmp_path: Path, name: str) -> None:
    row, reason = NO_PROMPTS[name]
    source = written(tmp_path / "a.jsonl", published.PUBLISHED["text"], row)
    with pytest.raises(BadRowError, match=rf"a\.jsonl, line 2: {reason}"):
        prompts(toy, tmp_path, source, "data.threadweaver.strict=true")


@pytest.mark.parametrize("name", NO_FILES)
def test_a_file_that_is_none_is_refused(toy: Toy, tmp_path: Path, name: str) -> None:
    make, reason = NO_FILES[name]
    with pytest.raises(DataFileError, match=reason):
        prompts(toy, tmp_path, make(tmp_path))


def test_a_problem_gets_the_instruction(toy: Toy, tmp_path: Path) -> None:
    source = written(tmp_path / "rl.jsonl", {"problem": "a1?", "answer": 1})
    for setting, text in (("''", "a1?"), ("a2", "a1?\n\na2")):
        (item,) = prompts(toy, tmp_path, source, f"data.threadweaver.instruction={setting}")
        assert item["raw_prompt"][0]["content"] == text


def test_what_is_no_prompt_is_counted_and_left_out(
    toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [PUBLISHED[1], {"prompt": "", "answer": 1}, {"prompt": "a1?", "answer": None}, PUBLISHED[1]]
    source = written(tmp_path / "rl.jsonl", *rows)
    assert [item["extra_info"]["index"] for item in prompts(toy, tmp_path, source)] == [0, 3]
    assert "of 4 rows 1 left out, empty user message" in caplog.text
    assert "of 4 rows 1 left out, no reference answer" in caplog.text
    with pytest.raises(BadRowError, match=r"rl\.jsonl, line 2: empty user message"):
        prompts(toy, tmp_path, source, "data.threadweaver.strict=true")


def test_it_can_be_resumed_as_verls_own(toy: Toy, tmp_path: Path) -> None:
    data = prompts(toy, tmp_path, [str(toy["rl"]), written(tmp_path / "more.jsonl", PUBLISHED[1])])
    again = pickle.loads(pickle.dumps(data))
    again.resume_dataset_state()
    assert [again[i] for i in (0, len(data) - 1)] == [data[i] for i in (0, len(data) - 1)]
    assert len(again) == len(data) == len(prompts(toy, tmp_path, str(toy["rl"]))) + 1
    assert len(list((tmp_path / "cache").glob("prompts-*.parquet"))) == 2


def test_columns_and_settings_that_are_none(toy: Toy, tmp_path: Path) -> None:
    source = written(tmp_path / "rl.jsonl", {"text": "a1?", "n": 1})
    (item,) = prompts(toy, tmp_path, source, "data.prompt_key=text", "data.threadweaver.answer_key=n")
    assert item["raw_prompt"] == ASKED
    with pytest.raises(DataFileError, match=r"has no column prompt or .*; it has text, n"):
        prompts(toy, tmp_path, source)
    with pytest.raises(SettingsError, match=r"data\.threadweaver has no setting strikt"):
        prompts(toy, tmp_path, source, "data.threadweaver.strikt=true")


def check(toy: Toy, folder: Path, source: str, *settings: str) -> None:
    data = config_of(toy, folder, f"data.train_files={source}", *settings)
    check_prompt_files(data, AutoTokenizer.from_pretrained(toy["model"]))


VERLS_OWN = ("data.custom_cls.path=null", "data.custom_cls.name=null")


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a1?", "is no list of messages"),
        ([{"role": "human", "content": "a1?"}], "is no list of messages"),
        ([{"role": "user", "content": [{"type": "text", "text": "a1?"}]}], "is no list of messages"),
        ([{"role": "user", "content": None}], "content is not text"),
        ([], "no message of a user"),
    ],
)
def test_verls_own_data_set_is_warned_of_before_it_starts(
    toy: Toy, tmp_path: Path, prompt: Any, reason: str
) -> None:
    row = {"prompt": prompt, "data_source": "x", "reward_model": {"ground_truth": "1"}}
    source = written(tmp_path / "rl.jsonl", row)
    with pytest.raises(
        DataFileError, match=rf"data\.train_files: .*line 1: .*{reason}.*data\.custom_cls\.path="
    ):
        check(toy, tmp_path, source, *VERLS_OWN)


def test_good_files_pass_with_either(toy: Toy, tmp_path: Path) -> None:
    check(toy, tmp_path, str(toy["rl"]), *VERLS_OWN)
    check(toy, tmp_path, written(tmp_path / "rl.jsonl", *PUBLISHED))
    with pytest.raises(
        DataFileError, match=r"^data\.train_files: .*no prompt is left; 1 left out, no prompt"
    ):
        check(toy, tmp_path, written(tmp_path / "bad.jsonl", {"prompt": None, "answer": 1}))
