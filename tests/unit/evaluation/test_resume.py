"""What an evaluation or self-training that goes on takes from the files that are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.eval_server import TAGS, plain, run
from tests.support.messages import assert_message
from tests.support.records import RECORD
from tests.support.servers import Server
from tw_plugins.cli.app import app
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.evaluation.records import read_records, salvage_records, sound_records, write_records
from tw_plugins.evaluation.resume import ResumeError, asked_for, check_settings, missing

TRUTH = {"ground_truth": "7"}


def problem(index: int) -> EvalProblem:
    return EvalProblem(index, "all", f"problem {index}", [1], "7")


def sample(index: int, **changes: Any) -> Any:
    return replace(RECORD, index=index, prompt=f"problem {index}", **changes)


def test_what_is_missing() -> None:
    problems = [problem(index) for index in range(3)]
    there = [sample(1), sample(1), sample(2), sample(9)]
    todo = missing(problems, there, samples=2)
    assert [one.index for one in todo] == [0, 0, 2]


def test_a_sample_that_is_missing_has_its_number() -> None:
    """Whichever came first before the break; samples without a number stand for the first ones."""
    problems = [problem(index) for index in range(3)]
    there = [sample(0, sample=2), sample(1), sample(1, sample=1), sample(2, sample=7)]
    todo = missing(problems, there, samples=3)
    assert [(one.index, one.sample) for one in todo] == [(0, 0), (2, 0), (0, 1), (2, 1), (1, 2), (2, 2)]
    found = [*there, *(sample(one.index, sample=one.sample) for one in todo)]
    assert missing(problems, found, samples=3) == []
    first = asked_for(problems, found, samples=3)
    numbers = [(record.index, record.sample) for record in first]
    assert numbers == [(0, 0), (0, 1), (0, 2), (1, None), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]


def test_samples_of_another_problem_are_not_counted() -> None:
    with pytest.raises(ResumeError) as error:
        missing([problem(0), problem(1)], [replace(sample(1), prompt="another")], samples=1)
    assert_message(error.value, "index 1 answers 'another', the problem .* is 'problem 1'.*another --out")


def test_the_first_samples_of_each_problem_in_the_order_of_the_problems() -> None:
    there = [sample(1, text="a"), sample(0), sample(1, text="b"), sample(5), sample(1, text="c")]
    found = asked_for([problem(0), problem(1)], there, samples=2)
    assert [(record.index, record.text) for record in found] == [(0, ""), (1, "a"), (1, "b")]


def test_settings_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            check_settings(tmp_path / "out", {"seed": 1})
    assert not list((tmp_path / "out").iterdir())
    check_settings(tmp_path / "out", {"seed": 1})
    check_settings(tmp_path / "out", {"seed": 1})


@pytest.mark.parametrize("content", ["", '{"seed": ', "[1]", "\x80"])
def test_broken_settings_are_one_message(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content, encoding="latin-1")
    with pytest.raises(ResumeError) as error:
        check_settings(tmp_path, {"seed": 1})
    assert_message(error.value, r"settings\.json is not a JSON object: give another --out, or remove it")


# ── lines that are no records ──


def spoiled(path: Path) -> Path:
    """Four lines: a record, bytes that are no text, a record of other fields, a record; and half of one."""
    write_records([sample(index) for index in range(5)], path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1:3] = [b"\xff\xfe\n", b'{"index": 2}\n']
    path.write_bytes(b"".join(lines)[:-20])
    return path


def test_bad_lines_are_set_aside_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = spoiled(tmp_path / "parallel.jsonl")
    assert [record.index for record in salvage_records(path)] == [0, 3]
    assert [record.index for record in read_records(path)] == [0, 3]
    assert (tmp_path / "parallel.jsonl.rejected").read_bytes() == b'\xff\xfe\n{"index": 2}\n'
    named = [record.getMessage() for record in caplog.records]
    assert ["line 2: not a whole" in named[0], "line 3: a record has" in named[1], len(named)] == [1, 1, 2]
    caplog.clear()
    assert len(salvage_records(path)) == 2 and not caplog.records
    assert salvage_records(tmp_path / "none.jsonl") == []


def test_reading_leaves_a_spoiled_file_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = spoiled(tmp_path / "parallel.jsonl")
    before = path.read_bytes()
    assert [record.index for record in sound_records(path)] == [0, 3]
    assert path.read_bytes() == before and [path] == list(tmp_path.iterdir())
    assert "line 5: not a whole JSON record" in caplog.text


# ── the command ──


def test_a_repaired_line_is_decoded_and_nothing_else(
    server: Server, model: Path, data: Path, tmp_path: Path
) -> None:
    """The problem after a line that could not be read keeps its index when the line can be read again."""
    whole = data.read_text()
    lines = whole.splitlines(keepends=True)
    data.write_text(lines[0] + lines[1][:20] + "\n" + lines[2])
    out = tmp_path / "out"
    assert run(server, model, data, out).exit_code == 0
    assert [record.index for record in read_records(out / "parallel.jsonl")] == [0, 2]
    data.write_text(whole)
    server.seen.clear()
    assert run(server, model, data, out).exit_code == 0
    asked = [TAGS.decode(body["prompt"]) for _, _, body in server.seen]
    assert len(asked) == 1 and asked[0].startswith("problem 1")
    records = read_records(out / "parallel.jsonl")
    assert [(record.index, record.prompt[:9]) for record in records] == [
        (index, f"problem {index}") for index in range(3)
    ]


def test_a_file_of_other_problems_is_refused(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    run(server, model, data, tmp_path / "out")
    data.write_text(data.read_text().replace("problem 2", "question 2"))
    result = run(server, model, data, tmp_path / "out")
    assert result.exit_code == 2 and "the problems have changed" in plain(result)


def test_a_spoiled_line_is_decoded_again(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(server, model, data, out)
    file = out / "parallel.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0] + "not JSON\n" + lines[2])
    server.seen.clear()
    assert run(server, model, data, out).exit_code == 0
    assert len(server.seen) == 1 and [record.index for record in read_records(file)] == [0, 1, 2]
    assert (out / "parallel.jsonl.rejected").read_text() == "not JSON\n"


def test_fewer_samples_than_are_there(server: Server, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(server, model, data, out, "--samples", "3", "--temperature", "1")
    server.seen.clear()
    assert run(server, model, data, out, "--samples", "2", "--temperature", "1").exit_code == 0
    figures = json.loads((out / "figures.json").read_text())["modes"]["parallel"]["all problems"]
    assert (figures["problems"], figures["samples"], server.seen) == (3, 6, [])
    assert len(read_records(out / "parallel.jsonl")) == 9, "what was paid for is kept"


def test_self_training_puts_no_prompt_beside_another_ones_response(
    server: Server, model: Path, tmp_path: Path
) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    prompts, rows = tmp_path / "rl.parquet", [{"prompt": f"{n}+4?", "reward_model": TRUTH} for n in (3, 9)]
    command = ["data", "selftrain", "--model", str(model), "--prompts", str(prompts)]
    command += ["--out", str(tmp_path / "out"), "--base-url", server.url]
    for order in (rows, rows[::-1]):
        pq.write_table(pa.Table.from_pylist(order), prompts)
        result = CliRunner().invoke(app, command)
    assert result.exit_code == 2 and "the problems have changed" in plain(result)
