"""Stage 1 of the data: five steps against a real endpoint, whatever it answers, however it is broken off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.core.stage1_server import EDITS, STRUCTURE, Endpoint, Reply, good, traces
from tw_plugins.cli import app
from tw_plugins.data.stage1.answer_json import Malformed
from tw_plugins.data.stage1.extract import blocks_of
from tw_plugins.data.stage1.jsonl import finished
from tw_plugins.data.stage1.outline import leaks
from tw_plugins.data.stage1.rewrite import apply_edits
from tw_plugins.data.stage1.structure import Passage, read_structure
from tw_plugins.data.stage1.traces import Trace
from tw_plugins.trajectory import parse, validate

KEY = "sk-very-secret"
Messages = list[dict[str, str]]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def write(path: Path, records: list[dict[str, Any]], more: str = "") -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + more)
    return path


def stage1(folder: Path, endpoint: Endpoint, records: int = 1, *options: str, more: str = "") -> Any:
    source = write(folder / "traces.jsonl", traces(records), more)
    arguments = ["--base-url", endpoint.url, "--model", "m", "--min-gain", "50", *options]
    return CliRunner().invoke(app, ["data", "stage1", str(source), "--out", str(folder / "out"), *arguments])


def rejected(folder: Path, step: str) -> list[str]:
    return [one["reason"] for one in finished(folder / "out" / step).values() if one["status"] != "ok"]


def test_traces_become_an_sft_set(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        result = stage1(tmp_path, endpoint, 3)
    assert result.exit_code == 0, result.output
    rows = pq.read_table(tmp_path / "out" / "sft.parquet").to_pylist()
    assert [row["extra_info"]["id"] for row in rows] == ["p0", "p1", "p2"]
    response = rows[0]["response"]
    assert validate(response) == []
    (block,) = parse(response).blocks
    assert [outline.text for outline in block.outlines] == ["left sum", "right sum"]
    assert block.threads[1].text.startswith("The right bracket.\n5 + 6 = 11")  # "Similarly" is gone
    assert block.threads[0].text.startswith("First the left bracket")
    assert response.endswith("The product is 7 * 11 = 77.\n</think>\nThe answer is \\boxed{77}.")
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert statistics["means"]["blocks"] == 1 and statistics["means"]["threads"] == 2
    assert "12 requests, 120 tokens in, 24 out" in result.output  # structure, verify, rewrite, outline


def test_nothing_is_paid_twice(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        stage1(tmp_path, endpoint, 2)
        asked = sum(endpoint.asked.values())
        result = stage1(tmp_path, endpoint, 2)
        assert sum(endpoint.asked.values()) == asked
        assert result.exit_code == 0 and "0 requests" in result.output


def test_the_key_goes_to_the_endpoint_and_nowhere_else(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        result = stage1(tmp_path, endpoint)
        assert endpoint.keys == {f"Bearer {KEY}"}
    everything = result.output + "".join(
        path.read_text(errors="replace") for path in (tmp_path / "out").iterdir()
    )
    assert KEY not in everything


def test_a_malformed_answer_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    def model(step: str, messages: Messages) -> Reply:
        if step == "structure" and len(messages) == 1:
            return 200, '{"steps": [{"number": "1"', {}
        if step == "structure":
            assert "it is not JSON" in messages[-1]["content"]
        return good(step, messages)

    with Endpoint(model) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 0
        assert endpoint.asked["0", "structure"] == 2
    assert rejected(tmp_path, "1-structure.jsonl") == []


def as_json(**changes: Any) -> str:
    return json.dumps({**STRUCTURE, **changes})


OUTSIDE = [{"number": "1", "title": "x", "first": 1, "last": 99}]
MOST = (
    "Similarly, the right bracket.\n5 + 6 = 11, and to be sure we count: six, seven, eight, nine, ten, eleven"
)
NO_MATCH = json.dumps([{"source": "not there", "replacement": ""}])
DELETES = json.dumps([{"source": MOST, "replacement": ""}])
ONE_OUTLINE = json.dumps({"outlines": [{"number": 1, "text": "both"}]})
LEAK = json.dumps({"outlines": [{"number": 1, "text": "find 7"}, {"number": 2, "text": "find it"}]})
FAILED = json.dumps({"passed": False, "reason": "3 uses 7"})
ANSWERS = {
    "never JSON": ("structure", "I would rather not", "1-structure.jsonl", "malformed_answer"),
    "empty": ("structure", "", "1-structure.jsonl", "malformed_answer"),
    "lines outside": ("structure", as_json(steps=OUTSIDE), "1-structure.jsonl", "malformed_answer"),
    "no group": ("structure", as_json(groups=[]), "1-structure.jsonl", "nothing_parallel"),
    "check failed": ("verify", FAILED, "1-structure.jsonl", "verification_failed"),
    "one thread": ("structure", as_json(groups=[["2"]]), "2-extract.jsonl", "no_block"),
    "an edit that matches nowhere": ("rewrite", NO_MATCH, "3-rewrite.jsonl", "malformed_answer"),
    "an edit that deletes the thread": ("rewrite", DELETES, "3-rewrite.jsonl", "edits_delete_too_much"),
    "one outline of two": ("outline", ONE_OUTLINE, "4-outline.jsonl", "wrong_outlines"),
    "an outline that gives the result away": ("outline", LEAK, "4-outline.jsonl", "leak"),
}
"""The step that is answered so, the answer, where the record ends, and as what."""


@pytest.mark.parametrize("name", ANSWERS)
def test_what_cannot_be_used_is_kept_with_its_reason(tmp_path: Path, name: str) -> None:
    bad_step, text, file, reason = ANSWERS[name]

    def model(step: str, messages: Messages) -> Reply:
        return (200, text, {}) if step == bad_step else good(step, messages)

    with Endpoint(model) as endpoint:
        result = stage1(tmp_path, endpoint)
    assert result.exit_code == 0, result.output
    assert rejected(tmp_path, file) == [reason]
    assert f"rejected 1: {reason}" in result.output
    assert not (tmp_path / "out" / "sft.parquet").exists()


def test_a_failed_check_goes_back_with_its_reason(tmp_path: Path) -> None:
    checks: list[str] = []

    def model(step: str, messages: Messages) -> Reply:
        if step == "verify":
            checks.append("")
            return 200, json.dumps({"passed": len(checks) > 1, "reason": "member 3 uses the 7"}), {}
        if step == "structure" and checks:
            assert "member 3 uses the 7" in messages[0]["content"]
        return good(step, messages)

    with Endpoint(model) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 0
    assert len(checks) == 2
    assert rejected(tmp_path, "1-structure.jsonl") == []


def test_a_rewrite_that_loses_the_answer_is_filtered_out(tmp_path: Path) -> None:
    records = traces(2)
    records[0]["answer"] = "78"
    source = write(tmp_path / "traces.jsonl", records)
    with Endpoint() as endpoint:
        arguments = ["--base-url", endpoint.url, "--model", "m", "--min-gain", "50"]
        CliRunner().invoke(app, ["data", "stage1", str(source), "--out", str(tmp_path / "out"), *arguments])
    assert rejected(tmp_path, "5-filter.jsonl") == ["wrong_answer"]
    assert len(pq.read_table(tmp_path / "out" / "sft.parquet")) == 1


def test_rate_limits_and_errors_of_the_server_are_waited_out(tmp_path: Path) -> None:
    failures = [(429, "slow down", {"Retry-After": "0"}), (500, "oops", {}), (503, "busy", {})]

    def model(step: str, messages: Messages) -> Reply:
        return failures.pop() if failures else good(step, messages)

    with Endpoint(model) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 0
    assert (tmp_path / "out" / "sft.parquet").exists()


def test_a_record_without_an_answer_is_left_for_the_next_run(tmp_path: Path) -> None:
    def model(step: str, messages: Messages) -> Reply:
        if "Problem 1" in messages[0]["content"]:
            time.sleep(2)
        return good(step, messages)

    with Endpoint(model) as endpoint:
        result = stage1(tmp_path, endpoint, 2, "--timeout", "1", "--retries", "0")
        assert result.exit_code == 2
        assert "1 records got no answer (no answer within 1 s)" in " ".join(result.output.split())
        assert list(finished(tmp_path / "out" / "1-structure.jsonl")) == ["p0"]
        endpoint.model = good
        assert stage1(tmp_path, endpoint, 2).exit_code == 0
        assert endpoint.asked["0", "structure"] == 1
    assert len(pq.read_table(tmp_path / "out" / "sft.parquet")) == 2


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "does not accept the key (HTTP 401): set OPENAI_API_KEY"), (404, "no model 'm'")],
)
def test_an_endpoint_that_cannot_be_used_stops_the_run(tmp_path: Path, status: int, message: str) -> None:
    def model(step: str, messages: Messages) -> Reply:
        return (status, "no", {}) if "Problem 1" in messages[0]["content"] else good(step, messages)

    with Endpoint(model) as endpoint:
        result = stage1(tmp_path, endpoint, 2, "--concurrency", "1")
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert list(finished(tmp_path / "out" / "1-structure.jsonl")) == ["p0"]  # what was done is kept


def test_an_endpoint_that_is_down(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        pass
    result = stage1(tmp_path, endpoint, 1, "--retries", "0")
    assert result.exit_code == 2 and "cannot reach http://127.0.0.1" in result.output


def test_unreadable_lines_are_named_and_the_rest_is_done(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        result = stage1(tmp_path, endpoint, 1, more='{"id": "half", "prom\n[1]\n{"prompt": "only"}\n')
    assert result.exit_code == 0
    records = finished(tmp_path / "out" / "1-structure.jsonl")
    assert {key: one.get("reason") for key, one in records.items()} == {
        "p0": None, "line-2": "unreadable_line", "line-3": "unreadable_line", "line-4": "missing_column",
    }  # fmt: skip
    assert "traces.jsonl, line 2" in records["line-2"]["detail"]


def test_two_records_of_one_id(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        result = stage1(tmp_path, endpoint, 1, more=json.dumps(traces(1)[0]) + "\n")
    assert result.exit_code == 2 and "two records of the id 'p0'" in result.output


def test_killed_and_run_again(tmp_path: Path) -> None:
    """SIGKILL in the middle of a step: nothing finished is asked about again, nothing is lost."""
    source = write(tmp_path / "traces.jsonl", traces(12))
    out = tmp_path / "structure.jsonl"
    with Endpoint(delay=0.05) as endpoint:
        command = [
            sys.executable, "-m", "tw_plugins.cli", "data", "structure", str(source), "--out", str(out),
            "--base-url", endpoint.url, "--model", "m", "--concurrency", "1",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not out.exists() or out.read_bytes().count(b"\n") < 3:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with out.open("a") as file:
            file.write('{"id": "p11", "sta')  # what a kill in the middle of a write leaves
        before = set(finished(out))
        assert 3 <= len(before) < 12
        assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        assert all(endpoint.asked[name.removeprefix("p"), "structure"] == 1 for name in before)
    assert set(finished(out)) == {f"p{n}" for n in range(12)}


# ── the steps' own rules ──

TRACE = Trace(tuple(f"line {number} of this trace" for number in range(1, 21)), "")
passages = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 5)).map(
        lambda pair: Passage("n", "t", pair[0], min(20, pair[0] + pair[1]))
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(passages, max_size=4), st.integers(0, 80))
def test_blocks_are_contiguous_ordered_and_apart(groups: list[list[Passage]], gain: int) -> None:
    blocks = blocks_of(groups, TRACE, gain)
    for block in blocks:
        assert len(block) >= 2
        assert all(a.last + 1 == b.first for a, b in pairwise(block))
        lengths = [len(TRACE.text(passage.first, passage.last)) for passage in block]
        assert sum(lengths) - max(lengths) >= gain
    ends = [(block[0].first, block[-1].last) for block in blocks]
    assert all(a[1] < b[0] for a, b in pairwise(ends))


def test_of_overlapping_blocks_the_better_one_stays() -> None:
    def group(*ranges: tuple[int, int]) -> list[Passage]:
        return [Passage("n", "t", *one) for one in ranges]

    chosen = blocks_of([group((1, 2), (3, 4)), group((3, 8), (9, 14))], TRACE, 0)
    assert [(block[0].first, block[-1].last) for block in chosen] == [(3, 14)]


def test_blank_lines_between_members_belong_to_the_one_before() -> None:
    trace = Trace(("a", "", "b", "c", "d"), "")
    (block,) = blocks_of([[Passage("1", "", 1, 1), Passage("2", "", 3, 4)]], trace, 0)
    assert [(passage.first, passage.last) for passage in block] == [(1, 2), (3, 4)]


@given(
    st.text("ab ", min_size=1, max_size=30),
    st.lists(st.tuples(st.text("ab ", max_size=4), st.text("cd", max_size=3))),
)
def test_edits_are_applied_once_or_refused(thread: str, edits: list[tuple[str, str]]) -> None:
    answer = json.dumps([{"source": source, "replacement": new} for source, new in edits])
    once = all(source and thread.count(source) == 1 for source, _ in edits)
    places = sorted((thread.find(source), len(source)) for source, _ in edits)
    apart = all(a + n <= b for (a, n), (b, _) in pairwise(places))
    if not (once and apart):
        with pytest.raises(Malformed):
            apply_edits(answer, thread, 0)
        return
    expected = thread
    for position, length, new in sorted(
        ((thread.find(source), len(source), new) for source, new in edits), reverse=True
    ):
        expected = expected[:position] + new + expected[position + length :]
    assert apply_edits(answer, thread, 0) == expected


def test_an_edit_whose_source_occurs_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="occurs 2 times"):
        apply_edits(json.dumps([{"source": "so", "replacement": ""}]), "so it is so", 0)
    assert apply_edits(json.dumps(EDITS), "Similarly, the right bracket. Go", 0.5) == "The right bracket. Go"


def test_a_leak_is_what_only_the_thread_has() -> None:
    assert leaks("add 3 and 4 to 7", "3 + 4 = 7", "what is 3 + 4?") == ["7"]
    assert leaks("add 3 and 4 in 2 ways", "3 + 4 = 7", "what is 3 + 4?") == []


def test_steps_must_follow_one_another() -> None:
    steps = [dict(STRUCTURE["steps"][0]), {**STRUCTURE["steps"][1], "first": 1}]  # type: ignore[dict-item]
    with pytest.raises(Malformed, match="step 2 has lines 1 to 4, they must lie in 2 to 8"):
        read_structure(json.dumps({"steps": steps, "groups": []}), 8)
    with pytest.raises(Malformed, match="a group names 9"):
        read_structure(json.dumps({**STRUCTURE, "groups": [["2", "9"]]}), 8)
