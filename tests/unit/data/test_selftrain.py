"""Self-training's set: the funnel, the files, and what a second run does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.support.fakes import EOS, char_tokenizer, control_tokens
from tests.support.records import CLOSE, OPEN, RECORD, THREADS
from tw_plugins.cli.app import app
from tw_plugins.data import selftrain as module
from tw_plugins.data.selftrain import Funnel, Keep, selftrain, sift
from tw_plugins.engines import choice
from tw_plugins.evaluation.problems import read_problems
from tw_plugins.evaluation.records import read_records
from tw_plugins.evaluation.resume import ResumeError
from tw_plugins.evaluation.run import EvalSettings, EvaluationError, Prepared
from tw_plugins.rollout import Completion, Limits
from tw_plugins.sft import RowMaker, SFTSettings
from tw_plugins.sft.examples import SFTExample

TAGS = control_tokens()
GOOD = replace(RECORD, text="<think>\n</think>\\boxed{7}" + EOS)
SETTINGS = EvalSettings(temperature=1.0, concurrency=2)


class Engine:
    """Forks and answers 7; every third answer is cut off. Counts its requests and what it was made with."""

    made: list[dict[str, Any]]
    trajectories: int

    def __init__(self, model: str, **engine_args: Any) -> None:
        Engine.made.append(engine_args)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    async def generate(self, prompt_ids: list[int], **_: Any) -> Completion:
        text = TAGS.decode(prompt_ids)
        if text.endswith(":"):
            number = int(text[-2])
            return Completion(TAGS.encode(THREADS[number - 1]), None, "stop")
        if "<Parallel>" in text:
            return Completion(TAGS.encode(CLOSE), None, "stop")
        Engine.trajectories += 1
        if Engine.trajectories % 3 == 0:
            return Completion(TAGS.encode("never ends"), None, "length")
        return Completion(TAGS.encode(OPEN), None, "stop")


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two problems, of which the model's answer is right for the first."""
    rows = [
        {"prompt": [{"role": "user", "content": f"problem {i}"}], "reward_model": {"ground_truth": truth}}
        for i, truth in enumerate(("7", "8"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rl.parquet")
    tokenizer = char_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"

    def prepare(model: str, data: Path, settings: EvalSettings, limit: int | None) -> Prepared:
        limits = Limits(max_tokens=400, max_thread_tokens=100, answer_reserve=50)
        return Prepared(TAGS, read_problems(data, tokenizer, limit), limits, {"seed": settings.seed})

    monkeypatch.setattr(module, "prepare", prepare)
    monkeypatch.setattr(choice, "VLLMEngine", Engine)
    Engine.made, Engine.trajectories = [], 0
    yield tmp_path / "rl.parquet"


def test_each_step_of_the_funnel() -> None:
    records = [
        GOOD,
        replace(GOOD, text="never ends"),
        replace(GOOD, limits_hit={"max_tokens": 1}),
        replace(GOOD, correct=False),
        replace(GOOD, well_formed=False),
        replace(GOOD, index=1, total=41),
        replace(GOOD, index=2, longest=40),
    ]
    want = Funnel(prompts=3, samples=7, complete=5, correct=4, well_formed=3, kept=3, prompts_kept=3)
    assert sift(records, (EOS,), Keep()) == (want, [GOOD, records[5], records[6]])
    assert sift(records, (EOS,), Keep(max_tokens=40))[1] == [GOOD, records[6]]
    assert sift(records, (EOS,), Keep(min_acceleration=0.5))[1] == [GOOD, records[5]]


def test_copies_are_left_out_and_the_fastest_of_a_prompt_kept() -> None:
    slow, fast = replace(GOOD, text="b" + EOS, longest=30), replace(GOOD, text="c" + EOS, longest=10)
    assert sift([GOOD, GOOD, slow, fast], (EOS,), Keep())[1] == [fast, GOOD, slow]
    funnel, kept = sift([GOOD, GOOD, slow, fast], (EOS,), Keep(per_prompt=2))
    assert kept == [fast, GOOD] and (funnel.well_formed, funnel.kept, funnel.prompts_kept) == (4, 2, 1)


def test_the_set_can_be_trained_on(prompts: Path, tmp_path: Path) -> None:
    funnel = selftrain("m", prompts, tmp_path / "out", SETTINGS, samples=3)
    assert (funnel.prompts, funnel.samples, funnel.complete) == (2, 6, 4)
    assert funnel.kept == funnel.prompts_kept == 1  # all right ones are the same text
    assert json.loads((tmp_path / "out/funnel.json").read_text())["kept"] == 1
    (row,) = pq.read_table(tmp_path / "out/sft.parquet").to_pylist()
    assert row["prompt"] == [{"role": "user", "content": "problem 0"}]
    maker = RowMaker(TAGS, 1000, "data.max_length", "here", SFTSettings(strict=True))
    (made,) = maker.rows([SFTExample(TAGS.encode("problem 0"), row["response"])])
    assert made.branches and made.input_ids[made.branches[0].start - 1] == TAGS.eos_ids[0]


def test_a_second_run_samples_what_is_missing(prompts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    selftrain("m", prompts, out, SETTINGS, samples=2)
    samples = out / "samples.jsonl"
    whole = samples.read_text().splitlines(keepends=True)
    samples.write_text("".join(whole[:3]) + whole[3][:40])  # killed while the fourth was written
    seen: list[tuple[int, int]] = []
    funnel = selftrain("m", prompts, out, SETTINGS, 2, progress=lambda *at: seen.append(at))
    assert seen == [(done, 4) for done in range(5)] and funnel.samples == 4
    assert sorted(record.index for record in read_records(samples)) == [0, 0, 1, 1]
    assert [made["seed"] for made in Engine.made] == [0, 3]  # not the same samples again
    selftrain("m", prompts, out, SETTINGS, samples=2, keep=Keep(max_tokens=1))
    assert len(Engine.made) == 2 and not (out / "sft.parquet").exists()  # sifted again, nothing decoded


def test_samples_of_other_settings_are_not_mixed(prompts: Path, tmp_path: Path) -> None:
    selftrain("m", prompts, tmp_path / "out", SETTINGS, samples=1)
    with pytest.raises(ResumeError, match=r"other settings: temperature was 1.0, is 0.5. Give another"):
        selftrain("m", prompts, tmp_path / "out", replace(SETTINGS, temperature=0.5), samples=1)
    selftrain("m", prompts, tmp_path / "out", replace(SETTINGS, concurrency=7), samples=1)


def test_prompts_that_share_an_index(prompts: Path, tmp_path: Path) -> None:
    rows = [{**row, "extra_info": {"index": 5}} for row in pq.read_table(prompts).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    with pytest.raises(ResumeError, match=r"extra_info\.index 5 is there twice"):
        selftrain("m", prompts, tmp_path / "out", SETTINGS, samples=1)


def test_the_command(prompts: Path, tmp_path: Path) -> None:
    options = ["--model", "m", "--prompts", str(prompts), "--out", str(tmp_path / "out"), "--samples", "2"]
    result = CliRunner().invoke(app, ["data", "selftrain", *options])
    assert result.exit_code == 0, result.output
    assert "1 trajectories of 1 of 2 prompts; written to" in result.output
    assert "well-formed" in result.output


def test_copies_are_refused(prompts: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="2 samples at temperature 0 are all the same"):
        selftrain("model", prompts, tmp_path / "out", replace(SETTINGS, temperature=0.0), 2, Keep())
    assert Engine.trajectories == 0 and not (tmp_path / "out").exists()
    selftrain("model", prompts, tmp_path / "out", replace(SETTINGS, temperature=0.0), 1, Keep())
