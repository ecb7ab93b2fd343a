"""`threadweaver eval run` on a real HTTP server: k samples, going on, benchmarks and files, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.support.eval_server import RIGHT, TAGS, plain, run
from tests.support.messages import assert_message
from tests.support.servers import Server, choice
from tw_plugins.cli.app import app
from tw_plugins.data.selftrain import SAMPLES
from tw_plugins.evaluation import benchmarks
from tw_plugins.evaluation.problems import read_problems
from tw_plugins.evaluation.records import read_records
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.table import PAPER
from tw_plugins.storage.parquet import DataFileError


def test_k_samples_of_each_problem(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        server, model, data, out, "--samples", "2", "--temperature", "0.6", "--served-model-name", "m"
    )
    assert result.exit_code == 0, result.output
    records = read_records(out / "parallel.jsonl")
    assert [record.index for record in records] == [0, 0, 1, 1, 2, 2]
    assert json.loads((out / "summary.json").read_text())["parallel"]["accuracy"] == pytest.approx(2 / 3)
    assert {(body["model"], body["temperature"]) for _, _, body in server.seen} == {("m", 0.6)}
    assert "66.7" in (out / "report.md").read_text()


def test_broken_off_and_run_again(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    """What a kill leaves of the last line is decoded again, nothing else; a whole folder decodes nothing."""
    out = tmp_path / "out"
    options = ["--samples", "2", "--temperature", "1"]
    run(server, model, data, out, *options)
    file = out / "parallel.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:50])
    (out / "summary.json").unlink()
    server.seen.clear()
    assert run(server, model, data, out, *options).exit_code == 0
    assert len(server.seen) == 3
    assert [record.index for record in read_records(file)] == [0, 0, 1, 1, 2, 2]
    assert run(server, model, data, out, *options).exit_code == 0
    assert len(server.seen) == 3


def test_samples_of_other_settings_are_refused(
    server: Server, model: Path, data: Path, tmp_path: Path
) -> None:
    run(server, model, data, tmp_path / "out")
    result = run(server, model, data, tmp_path / "out", "--temperature", "0.5")
    assert result.exit_code == 2 and "temperature was 0.0, is 0.5. Give another --out" in plain(result)


def test_an_engine_that_fails_keeps_what_was_finished(
    server: Server, model: Path, data: Path, tmp_path: Path
) -> None:
    asked: list[int] = []

    def answer(body: Any) -> tuple[int, Any]:
        asked.append(1)
        return (200, choice(RIGHT)) if len(asked) < 3 else (401, "no")

    server.answer = answer
    result = run(server, model, data, tmp_path / "out", "--concurrency", "2")
    assert result.exit_code == 2 and "does not accept the key (HTTP 401): set OPENAI_API_KEY" in plain(result)
    assert 1 <= len(read_records(tmp_path / "out" / "parallel.jsonl")) <= 2
    assert not (tmp_path / "out" / "summary.json").exists()
    server.answer = lambda body: (200, choice(RIGHT))
    assert run(server, model, data, tmp_path / "out").exit_code == 0
    assert len(read_records(tmp_path / "out" / "parallel.jsonl")) == 3


def test_a_busy_server_is_waited_for(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    busy = [(429, "slow down")]
    server.answer = lambda body: busy.pop() if busy else (200, choice(RIGHT))
    assert run(server, model, data, tmp_path / "out").exit_code == 0
    assert len(server.seen) == 4


def test_equal_samples_are_refused(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    result = run(server, model, data, tmp_path / "out", "--samples", "4")
    assert result.exit_code == 2 and "4 samples at temperature 0 are all the same" in plain(result)


@pytest.mark.parametrize("option", [("--seed", "0"), ("--engine-arg", "dtype=float32")])
@pytest.mark.parametrize("command", ["eval", "selftrain"])
def test_what_a_server_would_not_hear_of_is_refused(
    server: Server, model: Path, data: Path, tmp_path: Path, option: tuple[str, str], command: str
) -> None:
    if command == "eval":
        result = run(server, model, data, tmp_path / "out", *option)
    else:
        arguments = ["--model", str(model), "--prompts", str(data), "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(app, ["data", "selftrain", *arguments, "--base-url", server.url, *option])
    assert result.exit_code == 2 and len(result.output.splitlines()) == 1
    assert_message(
        result.output, f"{option[0]} is for vLLM in this process, --base-url names a server: leave"
    )
    assert not server.seen


def test_another_instruction(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    assert run(server, model, data, tmp_path / "out", "--instruction", "Think hard.").exit_code == 0
    asked = {TAGS.decode(body["prompt"]) for _, _, body in server.seen}
    assert asked == {f"problem {n}\n\nThink hard." for n in range(3)}
    again = run(server, model, data, tmp_path / "out")
    assert again.exit_code == 2 and "instruction was 'Think hard.', is \"Let's think" in plain(again)


def test_a_benchmark_is_sampled_as_in_the_paper(
    server: Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"problem": f"problem {n}", "answer": "7"} for n in range(2)]
    monkeypatch.setattr(benchmarks, "load", lambda name: rows)
    result = run(server, model, "amc23", tmp_path / "out")
    assert result.exit_code == 0 and "amc23: avg@8 at temperature 1" in plain(result)
    assert len(server.seen) == 16 and {body["temperature"] for _, _, body in server.seen} == {1}


def test_explicit_sampling_wins() -> None:
    found = [benchmarks.sampling_of(name, None, None) for name in PAPER]
    assert found == [(32, 1), (32, 1), (8, 1), (1, 1), (4, 1), (8, 1)], "the paper's k, in its order"
    assert benchmarks.sampling_of("aime24", 2, None) == (2, 1)
    assert benchmarks.sampling_of("aime24", None, 0.6) == (32, 0.6)
    assert benchmarks.sampling_of("aime24", None, 0.0) == (1, 0), "greedy copies are all the same"
    assert benchmarks.sampling_of("aime24", 2, 0.0) == (2, 0)
    assert benchmarks.sampling_of("my.parquet", None, None) == (1, 0)


def test_an_unknown_kind_of_server(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    result = run(server, model, data, tmp_path / "out", "--server", "tgi")
    assert result.exit_code == 2 and "--server is 'tgi': choose one of openai, sglang" in plain(result)


META = {
    "finish_reason": {"type": "stop"},
    "output_token_logprobs": [[-0.5, token, None] for token in RIGHT],
}


@pytest.mark.parametrize("ids", [{"output_ids": RIGHT}, {}])
def test_sglangs_own_endpoint(
    server: Server, model: Path, data: Path, tmp_path: Path, ids: dict[str, Any]
) -> None:
    """Older versions have the ids beside the log-probs only."""
    server.answer = lambda body: (200, {**ids, "meta_info": META})
    result = run(server, model, data, tmp_path / "out", "--server", "sglang")
    assert result.exit_code == 0, result.output
    assert {record.text for record in read_records(tmp_path / "out" / "parallel.jsonl")} == {
        TAGS.decode(RIGHT)
    }
    path, _, body = server.seen[0]
    asked = [problem.prompt_ids for problem in read_problems(data, _tokenizer(model))]
    assert path == "/generate" and sorted(seen["input_ids"] for _, _, seen in server.seen) == sorted(asked)
    assert set(TAGS.eos_ids) <= set(body["sampling_params"]["stop_token_ids"])
    assert body["sampling_params"]["repetition_penalty"] == 1


@pytest.mark.parametrize(
    "answer", [{"text": "hello"}, [], {"meta_info": {**META, "output_token_logprobs": [[]]}}]
)
def test_what_is_no_sglang_is_named(
    server: Server, model: Path, data: Path, tmp_path: Path, answer: Any
) -> None:
    server.answer = lambda body: (200, answer)
    result = run(server, model, data, tmp_path / "other", "--server", "sglang")
    assert result.exit_code == 2
    assert_message(result.output.strip(), "answered without ids, .*: check that it is SGLang")


def test_selftrain_on_a_server(server: Server, model: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "rl.parquet"
    row = {"prompt": [{"role": "user", "content": "3+4?"}], "reward_model": {"ground_truth": "7"}}
    pq.write_table(pa.Table.from_pylist([row]), prompts)
    arguments = ["--model", str(model), "--prompts", str(prompts), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["data", "selftrain", *arguments, "--base-url", server.url])
    assert result.exit_code == 0, result.output
    assert len(read_records(tmp_path / "out" / SAMPLES)) == 1


# ── problems ──


def _tokenizer(model: Path) -> Any:
    from tw_plugins.evaluation.run import load_tokenizer

    return load_tokenizer(str(model))


def test_a_benchmarks_columns_in_a_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "olympiad.parquet"
    pq.write_table(pa.Table.from_pylist([{"question": "how many?", "final_answer": ["$12$"]}]), path)
    (problem,) = read_problems(path, _tokenizer(model))
    assert problem.reference == "12" and problem.prompt == (
        "how many?\n\nLet's think step by step and output the final answer within \\boxed{}."
    )


def test_unreadable_lines_are_named_and_left_out(
    model: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with data.open("a") as file:
        file.write('{"problem": "half')
    assert len(read_problems(data, _tokenizer(model))) == 3
    assert f"1 left out, not a whole JSON record: {data}, line 4" in caplog.text


def test_other_columns_are_named(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"q": "?", "a": "!"}\n')
    with pytest.raises(DataFileError, match=r"no column prompt or problem or .*; it has q, a: add it"):
        read_problems(path, _tokenizer(model))


def test_neither_file_nor_benchmark(model: Path) -> None:
    with pytest.raises(
        EvaluationError, match="aime23 is neither a file nor a benchmark: the benchmarks are aime24"
    ):
        read_problems("aime23", _tokenizer(model))


@pytest.mark.parametrize("name", benchmarks.BENCHMARKS)
def test_without_the_hub_a_benchmark_says_what_a_file_needs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach the Hugging Face Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(EvaluationError) as error:
        benchmarks.load(name)
    assert benchmarks.BENCHMARKS[name].repository in str(error.value)
    assert "columns problem and answer" in str(error.value)


def test_a_benchmark_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    rows = datasets.Dataset.from_list([{"problem": "?", "answer": "1"}])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    with pytest.raises(EvaluationError, match="has 1 problems, aime24 has 30"):
        benchmarks.load("aime24")
