"""Each wrong setting, argument or file of the core, with the message that its user gets.

The frameworks' own settings are in ``test_preflight.py`` of each adapter.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.support.fakes import char_tokenizer
from tests.support.messages import assert_message
from tests.support.records import RECORD
from tests.support.report_data import report
from tests.support.tokenizers import tokenizer
from tw_plugins.adapter.vocabulary import check_embedding, check_vocabulary
from tw_plugins.bench.step import bench_step
from tw_plugins.cli import app as cli
from tw_plugins.cli.ending import is_explained
from tw_plugins.evaluation.problems import read_problems
from tw_plugins.evaluation.records import read_records
from tw_plugins.grading.pool import GradingPool
from tw_plugins.pages.report import write_report
from tw_plugins.reward import RewardSettings, compute_score
from tw_plugins.reward.score import acceleration_bonus
from tw_plugins.rollout import Completion, Limits
from tw_plugins.rollout.deadline import check_deadline
from tw_plugins.sft import RowMaker, SFTSettings
from tw_plugins.sft.examples import SFTExample
from tw_plugins.storage.parquet import check_columns
from tw_plugins.toy.digits import Sizes
from tw_plugins.trajectory import ControlTokens

TRUTH = {"prompt": [[{"role": "user", "content": "?"}]], "reward_model": [{"ground_truth": "7"}]}
FACTS = {"threadweaver": {"text": ""}}


def parquet(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def half(path: Path, **columns: list[Any]) -> Path:
    """A Parquet file that is still being written."""
    whole = parquet(path, **columns).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def problems(path: Path) -> Any:
    return read_problems(path, tokenizer())


def maker(**settings: Any) -> RowMaker:
    tags = ControlTokens.from_tokenizer(char_tokenizer())
    return RowMaker(
        tags,
        max_length=50,
        length_setting="data.max_length",
        source="d.parquet",
        settings=SFTSettings(**settings),
    )


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in report().items() if key != name}


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "limit of no tokens": (lambda _: Limits(max_tokens=0), "max_tokens is 0, must be at least 1"),
    "limit below 1": (lambda _: Limits(max_thread_tokens=-3), "max_thread_tokens is -3, must be"),
    "no threads": (lambda _: Limits(max_threads=0), "max_threads is 0, must be at least 1"),
    "too many threads": (lambda _: Limits(max_threads=51), "max_threads is 51, a block has at most 50"),
    "negative blocks": (lambda _: Limits(max_blocks=-1), "max_blocks is -1, must be at least 0"),
    "negative reserve": (lambda _: Limits(answer_reserve=-1), "answer_reserve is -1, must be"),
    "reserve too large": (
        lambda _: Limits(max_tokens=9, answer_reserve=9),
        r"\(9\) must be below max_tokens \(9\)",
    ),
    "log-probs": (
        lambda _: Completion([1, 2], [-1.0], "stop"),
        "2 token ids but 1 logprobs: .*must return one",
    ),
    "negative rho": (lambda _: RewardSettings(rho=-1), "rho=-1: must be a finite number, at least 0"),
    "negative clip": (lambda _: RewardSettings(rho_clip=-0.1), "rho_clip=-0.1: must be .* at least 0"),
    "negative format weight": (lambda _: RewardSettings(format_weight=-1), "format_weight=-1: must be"),
    "rho that is no number": (lambda _: RewardSettings(rho=math.nan), "rho=nan: must be a finite number"),
    "infinite clip": (lambda _: RewardSettings(rho_clip=math.inf), "rho_clip=inf: must be a finite number"),
    "rho in quotes": (lambda _: RewardSettings(rho="0.5"), "rho='0.5': must be a finite number"),
    "no rho": (lambda _: RewardSettings(rho=None), "rho=None: must be a finite number"),
    "reward of a wrong answer": (
        lambda _: RewardSettings(wrong=5),
        "wrong=5: wrong [+] format_weight must be below 1, or a wrong answer earns",
    ),
    "format that pays like an answer": (
        lambda _: RewardSettings(wrong=0.5, format_weight=0.5),
        "wrong=0.5: wrong [+] format_weight must be below 1",
    ),
    "unknown acceleration": (
        lambda _: RewardSettings(acceleration="speed"),
        "acceleration='speed': must be one of eta, critical_path, none",
    ),
    "endless deadline": (lambda _: check_deadline(math.inf, "t"), "t is inf: .*positive .*at most a year"),
    "deadline of a century": (lambda _: check_deadline(3e9, "t"), "t is 3.*: it must be .*at most a year"),
    "impossible latency": (
        lambda _: acceleration_bonus(5, 4),
        "must lie in 0..total, got longest=5, total=4",
    ),
    "no agent loop": (
        lambda _: compute_score("", "", "7"),
        'no "threadweaver".*Set .*agent_loop=threadweaver',
    ),
    "half a summary": (
        lambda _: compute_score("", "", "7", FACTS),
        "lacks mode, longest, .*must set them all",
    ),
    "pool without workers": (lambda _: GradingPool(size=0), "needs size >= 1 and deadline > 0, got size=0"),
    "no deadline": (lambda _: GradingPool(deadline=0), "needs .*deadline > 0, got .*deadline=0"),
    "tokenizer without a tag": (
        lambda _: ControlTokens.from_tokenizer(char_tokenizer(["<Parallel>"])),
        "no token '</Parallel>'. `threadweaver data add-tokens`",
    ),
    "no EOS": (
        lambda _: ControlTokens.from_tokenizer(char_tokenizer(), eos_ids=[]),
        "eos_ids is empty: give at least one id",
    ),
    "EOS is a tag": (
        lambda _: ControlTokens.from_tokenizer(
            char_tokenizer(), eos_ids=char_tokenizer().convert_tokens_to_ids("<Thread>")
        ),
        r"ids \[\d+\] are both control tag and EOS. Give other eos_ids",
    ),
    "model that is not there": (
        lambda folder: check_vocabulary(str(folder / "none")),
        "no tokenizer and config can be loaded from .*none: .*Give the folder",
    ),
    "embedding too small": (lambda _: check_embedding("m", 10, 12), "m: .*12 ids, .*only 10 .*or resize it"),
    "training file missing": (
        lambda folder: check_columns([str(folder / "a.parquet")], ["prompt"]),
        "a.parquet is not a file: check the path",
    ),
    "training file of a name too long": (
        lambda folder: check_columns([str(folder / f"{'n' * 256}.parquet")], []),
        "n.parquet is not a file: check",
    ),
    "training file of nobody": (
        lambda _: check_columns(["~nobody-of-that-name/a.parquet"], []),
        "a.parquet is not a file: check",
    ),
    "training file is a pipe": (
        lambda folder: check_columns([os.mkfifo(folder / "a.parquet") or str(folder / "a.parquet")], []),
        "a.parquet is not a file: check",
    ),
    "training file is a folder": (lambda folder: check_columns([str(folder)], []), "is not a file: check"),
    "training file not Parquet": (
        lambda folder: check_columns([str(text(folder / "a.parquet", "prompt,answer"))], ["prompt"]),
        "a.parquet cannot be read as Parquet: .*Write the file again",
    ),
    "training file half written": (
        lambda folder: check_columns([str(half(folder / "a.parquet", prompt=["x"] * 99))], ["prompt"]),
        "a.parquet cannot be read as Parquet: .*Write the file again",
    ),
    "training file without a column": (
        lambda folder: check_columns([str(parquet(folder / "a.parquet", x=[1]))], ["prompt", "answer"]),
        "lacks the column prompt, answer; it has x: add it",
    ),
    "training file without rows": (
        lambda folder: check_columns([str(parquet(folder / "a.parquet", prompt=[]))], ["prompt"]),
        "a.parquet has no rows: give a file",
    ),
    "problems not Parquet": (
        lambda folder: problems(text(folder / "d.parquet", "{}")),
        "d.parquet cannot be read as Parquet: .*Write the file again",
    ),
    "problems half written": (
        lambda folder: problems(half(folder / "d.parquet", **TRUTH)),
        "d.parquet cannot be read as Parquet: .*Write the file again",
    ),
    "problems without a column": (
        lambda folder: problems(parquet(folder / "d.parquet", prompt=["?"])),
        "d.parquet, row 0 has no column reward_model.ground_truth or .*; it has prompt: add it to the file",
    ),
    "problems without rows": (
        lambda folder: problems(parquet(folder / "d.parquet", prompt=[], reward_model=[])),
        "d.parquet has no rows: give a file",
    ),
    "problem without an answer": (
        lambda folder: problems(
            parquet(folder / "d.parquet", prompt=TRUTH["prompt"], reward_model=[{"ground_truth": " "}])
        ),
        "no problem to evaluate; 1 left out, no reference answer: .*d.parquet, row 0. Give a file",
    ),
    "problem without a prompt": (
        lambda folder: problems(
            parquet(
                folder / "d.parquet",
                prompt=pa.array([[]], pa.list_(pa.string())),
                reward_model=TRUTH["reward_model"],
            )
        ),
        "no problem to evaluate; 1 left out, no message of a user: .*d.parquet, row 0.* Give a file",
    ),
    "half a record": (
        lambda folder: read_records(text(folder / "r.jsonl", json.dumps(asdict(RECORD))[:50])),
        "r.jsonl, line 1: not a whole JSON record .*Evaluate again",
    ),
    "packs shorter than rows": (
        lambda _: maker(pack_tokens=9),
        "pack_tokens is 9, less than the 50 .*raise it",
    ),
    "nothing to train on": (
        lambda _: maker().rows([SFTExample([1], "<Parallel>")]),
        "d.parquet: no example is left; 1 left out, unclosed.*Mend the data",
    ),
    "report without a part": (
        lambda folder: write_report(without("eval"), folder),
        "no key eval: add it",
    ),
    "metrics file missing": (
        lambda folder: bench_step(folder / "m.jsonl"),
        "m.jsonl cannot be read: No such file.*Give the run's metrics file",
    ),
    "metrics file half written": (
        lambda folder: bench_step(text(folder / "m.jsonl", '{"step": 1, "data": {')),
        "m.jsonl is not a metrics file: it must have one JSON object",
    ),
    "metrics without timings": (
        lambda folder: bench_step(text(folder / "m.jsonl", '{"data": {}}')),
        "m.jsonl has no timings of RL steps: give the file",
    ),
    "task of no shapes": (lambda _: Sizes((), 6), "empty"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_input_is_named(case: str, tmp_path: Path) -> None:
    use, pattern = WRONG[case]
    with pytest.raises((ValueError, RuntimeError)) as error:
        use(tmp_path)
    assert_message(error.value, pattern)
    assert is_explained(error.value) or type(error.value) is ValueError


# ---------------------------------------------------------------- the command

EVAL = ["eval", "run", "--model", "m", "--data", "d.parquet", "--out", "o"]
OURS = {
    "unknown mode": (
        [*EVAL, "--mode", "threads"],
        "--mode is 'threads': choose one of parallel, autoregressive",
    ),
    "engine argument": ([*EVAL, "--engine-arg", "dtype"], "'dtype' is not NAME=VALUE: write it as in"),
    "mode of a rollout": (
        ["rollout", "--model", "m", "--prompt", "p", "--mode", "both"],
        "mode is 'both': choose parallel or autoregressive",
    ),
    "engine argument of a rollout": (
        ["rollout", "--model", "m", "--prompt", "p", "--engine-arg", "x"],
        "'x' is not NAME=VALUE",
    ),
    "unknown shape": (["bench", "update", "--shape", "round"], "--shape is 'round': choose one of"),
    "unknown bench model": (["bench", "update", "--model", "llama"], "--model is 'llama': choose one of"),
    "unknown device": (["bench", "update", "--device", "tpu"], "--device is 'tpu': choose cpu or cuda"),
    "as many hostile answers as answers": (
        ["bench", "reward", "--answers", "10", "--hostile", "0", "--hostile", "10"],
        "--hostile is 10: must be less than --answers, 10",
    ),
    "folder that is not there": (
        ["bench", "reward", "--json", "{list}/no/figures.json"],
        "no does not exist: give a folder that does",
    ),
    "figures into a folder": (["bench", "step", "m", "--json", "{list}"], "no file can be written there"),
    "a model without data": (["bench", "rollout", "--model", "m"], "needs both --model and --data"),
    "report that is no JSON": (["report", "{broken}"], "report.json is not JSON .line 1: .*write it again"),
    "report that is a list": (
        ["report", "{list}"],
        "report.json holds a list, not an object: write it again",
    ),
    "report with a hole": (["report", "{hole}"], "the report has no key framework: add it"),
    "folder that is taken": (
        ["data", "add-tokens", "--model", "m", "--out", "{list}"],
        "exists: give a folder that does not, or remove it",
    ),
}
USAGE = {
    "no option": (["eval", "run", "--model", "m"], "--data"),
    "unknown option": ([*EVAL, "--temprature", "1"], "--temprature"),
    "limit of 0": ([*EVAL, "--limit", "0"], "--limit"),
    "negative temperature": ([*EVAL, "--temperature", "-1"], "--temperature"),
    "top_p above 1": ([*EVAL, "--top-p", "1.5"], "--top-p"),
    "not a number": ([*EVAL, "--max-tokens", "many"], "--max-tokens"),
    "more kept than sampled": (
        [
            "data",
            "selftrain",
            "--model",
            "m",
            "--prompts",
            "p",
            "--out",
            "o",
            "--samples",
            "2",
            "--per-prompt",
            "3",
        ],
        "3 cannot be kept of 2",
    ),
    "unknown command": (["evaluate"], "evaluate"),
    "unknown data command": (["data", "rewrote"], "rewrote"),
    "too few tokens": (["bench", "update", "--tokens", "5"], "--tokens"),
    "doctor takes none": (["doctor", "--gpu"], "--gpu"),
}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    contents = {"broken": '{"framework": ', "list": "[1]", "hole": "{}"}
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        text(tmp_path / name / "report.json", content)
    return {name: tmp_path / name for name in contents}


@pytest.mark.parametrize("case", OURS)
def test_a_wrong_argument_is_one_line(case: str, folders: dict[str, Path]) -> None:
    arguments, pattern = OURS[case]
    done = CliRunner().invoke(cli.app, [argument.format(**folders) for argument in arguments])
    assert done.exit_code == 2, done.output
    assert len(done.output.splitlines()) == 1 and done.output.startswith("error: ")
    assert_message(done.output, pattern)


@pytest.mark.parametrize("case", USAGE)
def test_a_wrong_option_is_named_with_its_help(case: str) -> None:
    """Said by typer, with the usage above it."""
    arguments, named = USAGE[case]
    done = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.output)
    assert done.exit_code == 2 and named in plain and "--help" in plain
    assert "Traceback" not in plain


def test_sixty_wrong_inputs() -> None:
    """Each of three lines at most, with what to do; typer's own (`USAGE`) are longer and do not count."""
    assert len(WRONG) + len(OURS) >= 60
