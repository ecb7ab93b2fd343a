"""Stage 1 broken off, run again, and run with other data or options: what is done again, and what is paid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.listening import listening
from tests.support.stage1_runs import Messages, command, rejected, shown, stage1, write
from tests.support.stage1_server import Endpoint, Reply, good, traces
from tw_plugins.data.stage1.journal import Answer, Journal
from tw_plugins.data.stage1.runs import finished


def test_nothing_is_paid_twice(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint, 2)
        asked = sum(endpoint.asked.values())
        result = stage1(tmp_path, endpoint, 2)
        assert sum(endpoint.asked.values()) == asked
        assert result.exit_code == 0 and "0 requests" in result.output


def structure_alone(source: Path, out: Path, endpoint: Endpoint) -> subprocess.Popen[str]:
    """`data structure` in a process of its own, one record at a time."""
    command = [
        sys.executable, "-m", "tw_plugins.cli", "data", "structure", str(source), "--out", str(out),
        "--base-url", endpoint.url, "--model", "m", "--concurrency", "1",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def wait_for_lines(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)


def test_killed_and_run_again(tmp_path: Path) -> None:
    """SIGKILL in the middle of a step: nothing finished is asked about again, nothing is lost."""
    source = write(tmp_path / "traces.jsonl", traces(12))
    out = tmp_path / "structure.jsonl"
    with listening(Endpoint(delay=0.05)) as endpoint:
        process = structure_alone(source, out, endpoint)
        wait_for_lines(out, 3, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with out.open("a") as file:
            file.write('{"id": "p11", "sta')  # what a kill in the middle of a write leaves
        before = set(finished(out))
        assert 3 <= len(before) < 12
        assert structure_alone(source, out, endpoint).wait(60) == 0
        assert all(endpoint.asked[name.removeprefix("p"), "structure"] == 1 for name in before)
    assert set(finished(out)) == {f"p{n}" for n in range(12)}


def ids(folder: Path) -> list[str]:
    rows = pq.read_table(folder / "out" / "sft.parquet").to_pylist()
    return [row["extra_info"]["id"] for row in rows]


def without_ids(first: int, last: int) -> list[dict[str, Any]]:
    records = traces(last)[first:]
    return [{name: value for name, value in record.items() if name != "id"} for record in records]


def test_other_traces_are_not_taken_for_finished_ones(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint, without_ids(0, 2))
        before = ids(tmp_path)
        assert stage1(tmp_path, endpoint, without_ids(2, 4)).exit_code == 0
        assert not set(ids(tmp_path)) & set(before) and len(ids(tmp_path)) == 2
        assert endpoint.asked["3", "structure"] == 1
        asked = endpoint.asked.total()
        assert stage1(tmp_path, endpoint, without_ids(0, 2)[::-1]).exit_code == 0  # and back, in any order
        assert ids(tmp_path) == before and endpoint.asked.total() == asked


def test_copies_without_an_id_are_told_apart(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        assert stage1(tmp_path, endpoint, without_ids(0, 1) * 2).exit_code == 0
    one, other = ids(tmp_path)
    assert other == f"{one}-2"


def test_a_record_that_changed_is_asked_for_again(tmp_path: Path) -> None:
    first, second = traces(2)
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint, [first, second])
        changed = {**second, "response": second["response"].replace("We need", "We want")}
        assert stage1(tmp_path, endpoint, [first, changed]).exit_code == 0
        assert (endpoint.asked["0", "structure"], endpoint.asked["1", "structure"]) == (1, 2)
    responses = pq.read_table(tmp_path / "out" / "sft.parquet")["response"].to_pylist()
    assert ["We want" in response for response in responses] == [False, True]


def test_a_line_that_was_mended_is_read_again(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint, 1, more='{"id": "p1", "prom\n')
        assert rejected(tmp_path, "1-structure.jsonl") == ["unreadable_line"]
        stage1(tmp_path, endpoint, 2)
        assert rejected(tmp_path, "1-structure.jsonl") == [] and ids(tmp_path) == ["p0", "p1"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--model", "other", "model was 'm', is 'other'"),
        ("--temperature", "0.5", "temperature was None, is 0.5"),
    ],
)
def test_another_model_is_not_mixed_in(tmp_path: Path, option: str, value: str, message: str) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint)
        asked, before = endpoint.asked.total(), (tmp_path / "out" / "1-structure.jsonl").read_text()
        result = stage1(tmp_path, endpoint, 1, option, value)
        assert endpoint.asked.total() == asked
    assert result.exit_code == 2 and message in shown(result) and "Give another --out" in shown(result)
    assert (tmp_path / "out" / "1-structure.jsonl").read_text() == before


def test_a_file_of_another_step_is_not_written_over(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint)
        out = tmp_path / "out"
        result = command("outline", out / "3-rewrite.jsonl", out / "1-structure.jsonl", endpoint)
    assert result.exit_code == 2 and "step was 'structure', is 'outline'" in shown(result)


def test_other_options_do_again_what_depends_on_them(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint)
        asked = endpoint.asked.total()
        result = stage1(tmp_path, endpoint, 1, "--min-gain", "100000")
        assert result.exit_code == 1 and rejected(tmp_path, "2-extract.jsonl") == ["no_block"]
        assert not (tmp_path / "out" / "sft.parquet").exists()
        result = stage1(tmp_path, endpoint, 1, "--min-left", "0.999", "--attempts", "1")
        assert rejected(tmp_path, "3-rewrite.jsonl") == ["edits_delete_too_much"]
        assert stage1(tmp_path, endpoint).exit_code == 0
        assert endpoint.asked.total() == asked  # all from the journal


# ── answers are paid for once ──


def test_answers_of_a_record_in_work_are_kept(tmp_path: Path) -> None:
    """The server fails in the middle of a record: the next run goes on behind the last answer."""

    def model(step: str, messages: Messages) -> Reply:
        return (503, "busy", {}) if step == "verify" else good(step, messages)

    with listening(Endpoint(model)) as endpoint:
        result = stage1(tmp_path, endpoint, 1, "--retries", "0")
        assert result.exit_code == 2 and "this run: 1 requests, 10 tokens in, 2 out" in shown(result)
        endpoint.model = good
        result = stage1(tmp_path, endpoint, 1, "--price-in", "1000", "--price-out", "0")
        assert result.exit_code == 0
        assert endpoint.asked["0", "structure"] == 1
    assert "this run: 3 requests, 30 tokens in, 6 out, $0.03" in shown(result)
    assert "all runs: 4 requests, 40 tokens in, 8 out, $0.04" in shown(result)
    assert json.loads((tmp_path / "out" / "usage.json").read_text()) == {
        "requests": 4,
        "prompt_tokens": 40,
        "answer_tokens": 8,
        "dollars": 0.04,
    }


@pytest.mark.parametrize("status", [401, 404])
def test_totals_are_written_when_the_endpoint_ends_the_run(tmp_path: Path, status: int) -> None:
    def model(step: str, messages: Messages) -> Reply:
        return (status, "no", {}) if step == "rewrite" else good(step, messages)

    with listening(Endpoint(model)) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 2
    assert json.loads((tmp_path / "out" / "usage.json").read_text())["requests"] == 2


def test_totals_are_written_after_ctrl_c(tmp_path: Path) -> None:
    source, out = write(tmp_path / "traces.jsonl", traces(12)), tmp_path / "structure.jsonl"
    with listening(Endpoint(delay=0.05)) as endpoint:
        process = structure_alone(source, out, endpoint)
        wait_for_lines(out, 2, process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    answers = (tmp_path / "model-answers.jsonl").read_bytes().count(b"\n")
    assert json.loads((tmp_path / "usage.json").read_text())["requests"] == answers >= 4
    assert f"all runs: {answers} requests" in output


def test_a_journal_reads_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first, second = Answer("é\n", False, 3, 1), Answer("", True, 5, 2)
    journal = Journal(path)
    journal.add({"model": "m", "messages": []}, first)
    with path.open("a") as file:
        file.write('not an answer\n{"key": "x"}\n{"key": "y", "te')  # the last: of a killed process
    journal = Journal(path)
    journal.add({"model": "m", "messages": [], "temperature": 0.0}, second)
    journal = Journal(path)
    assert journal.get({"messages": [], "model": "m"}) == first
    assert journal.get({"messages": [], "model": "m", "temperature": 0.0}) == second
    assert journal.get({"messages": [], "model": "m", "temperature": 1.0}) is None
    assert (journal.all_runs.requests, journal.all_runs.prompt_tokens, journal.now.requests) == (2, 8, 0)


def test_traces_are_not_taken_for_the_journal(tmp_path: Path) -> None:
    source = write(tmp_path / "model-answers.jsonl", traces(1), more='{"half')
    before = source.read_text()
    with listening(Endpoint()) as endpoint:
        result = command("structure", source, tmp_path / "out.jsonl", endpoint)
    assert result.exit_code == 2 and "give the other file another name" in shown(result)
    assert source.read_text() == before
