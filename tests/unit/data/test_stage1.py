"""Stage 1 of the data: five steps against a real endpoint, whatever it answers and whatever it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.listening import listening
from tests.support.stage1_runs import KEY, Messages, command, rejected, shown, stage1, write
from tests.support.stage1_server import STRUCTURE, Endpoint, Reply, good, traces
from tw_plugins.data.stage1.runs import finished
from tw_plugins.trajectory import parse, validate


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_traces_become_an_sft_set(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
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


def test_the_key_goes_to_the_endpoint_and_nowhere_else(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
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

    with listening(Endpoint(model)) as endpoint:
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
NUMBER = as_json(steps=[{**STRUCTURE["steps"][0], "substeps": 5}])  # type: ignore[dict-item]
INFINITE = as_json(steps=[{"number": "1", "title": "x", "first": 1, "last": 9}]).replace("9", "1e999")
HALF = '[{"source": "Similarly, the right bracket.", "replacement": "\\ud83d"}]'
FAILED = json.dumps({"passed": False, "reason": "3 uses 7"})
ANSWERS = {
    "never JSON": ("structure", "I would rather not", "1-structure.jsonl", "malformed_answer"),
    "empty": ("structure", "", "1-structure.jsonl", "malformed_answer"),
    "lines outside": ("structure", as_json(steps=OUTSIDE), "1-structure.jsonl", "malformed_answer"),
    "substeps that are a number": ("structure", NUMBER, "1-structure.jsonl", "malformed_answer"),
    "an infinite line": ("structure", INFINITE, "1-structure.jsonl", "malformed_answer"),
    "half of a character": ("rewrite", HALF, "3-rewrite.jsonl", "malformed_answer"),
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

    with listening(Endpoint(model)) as endpoint:
        result = stage1(tmp_path, endpoint)
    assert result.exit_code == 1, result.output
    assert "no record is left" in result.output
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
            return 200, as_json(groups=[["2", "3"], ["1"]]), {}
        return good(step, messages)

    with listening(Endpoint(model)) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 0
    assert len(checks) == 2
    assert rejected(tmp_path, "1-structure.jsonl") == []


def test_a_trace_that_is_wrong_costs_nothing(tmp_path: Path) -> None:
    records = traces(3)
    records[0]["answer"] = "78"
    records[1]["response"] = records[1]["response"].replace("\\boxed", "")
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint, records)
        assert {problem for problem, _ in endpoint.asked} == {"2"}
    assert sorted(rejected(tmp_path, "1-structure.jsonl")) == ["no_answer", "wrong_answer"]
    assert len(pq.read_table(tmp_path / "out" / "sft.parquet")) == 1


ODD: dict[str, tuple[dict[str, Any], str | None]] = {
    "a prompt without content": ({"prompt": [{"role": "user"}]}, "unreadable_row"),
    "a prompt that is a number": ({"prompt": 5}, "unreadable_row"),
    "half of a character": ({"prompt": "what is \ud83d?"}, "not_text"),
    "two reasonings": ({"response": traces(1)[0]["response"] * 2}, "no_reasoning"),
    "reasoning in reasoning": ({"response": f"<think>{traces(1)[0]['response']}"}, "no_reasoning"),
    "a column named reason": ({"reason": "mine"}, None),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_record_is_rejected_and_the_others_are_done(tmp_path: Path, name: str) -> None:
    changes, reason = ODD[name]
    odd, fine = traces(2)
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint, [{**odd, **changes}, fine])
        assert result.exit_code == 0, result.output
        again = stage1(tmp_path, endpoint, [{**odd, **changes}, fine])
        assert again.exit_code == 0 and "this run: 0 requests" in again.output
    records = finished(tmp_path / "out" / "1-structure.jsonl")
    assert records["p1"]["status"] == "ok"
    assert records["p0"]["status"] == ("rejected" if reason else "ok")
    assert not reason or records["p0"]["reason"] == reason


def test_white_space_before_the_reasoning_is_no_part_of_it(tmp_path: Path) -> None:
    (record,) = traces(1)
    record["response"] = "\n " + record["response"]
    with listening(Endpoint()) as endpoint:
        assert stage1(tmp_path, endpoint, [record]).exit_code == 0
    (row,) = pq.read_table(tmp_path / "out" / "sft.parquet").to_pylist()
    assert row["response"].count("<think>") == 1
    assert row["response"].startswith("<think>\nWe need two sums")


def test_an_error_of_our_own_rejects_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(answer: str, lines: int) -> Any:
        raise ZeroDivisionError("in a step")

    with listening(Endpoint()) as endpoint:
        with monkeypatch.context() as patch:
            patch.setattr("tw_plugins.data.stage1.step1_structure.read_structure", broken)
            assert stage1(tmp_path, endpoint).exit_code == 1
        (record,) = finished(tmp_path / "out" / "1-structure.jsonl").values()
        assert (record["reason"], record["detail"]) == ("internal_error", "ZeroDivisionError: in a step")
        assert stage1(tmp_path, endpoint).exit_code == 0  # done again, and paid for once
        assert endpoint.asked["0", "structure"] == 1


@pytest.mark.parametrize(
    ("step", "before"),
    [("extract", "structure"), ("rewrite", "extract"), ("outline", "extract"), ("filter", "extract")],
)
def test_a_file_of_another_step(tmp_path: Path, step: str, before: str) -> None:
    source, out = write(tmp_path / "traces.jsonl", traces(2)), tmp_path / "out" / "x.jsonl"
    with listening(Endpoint()) as endpoint:
        asks = endpoint if step in ("rewrite", "outline") else None
        result = command(step, source, out, asks)
        assert result.exit_code == 1 and f"{step} rejected 2: missing_column" in result.output
        assert f"run `data {before}` first" in finished(out)["p0"]["detail"]
        assert f"run `data {before}` first" in result.output
        assert command(step, source, out, asks).exit_code == 1  # the same again


def test_a_file_without_outlines_is_not_filtered(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        stage1(tmp_path, endpoint)
    result = command("filter", tmp_path / "out" / "3-rewrite.jsonl", tmp_path / "filter.jsonl", None)
    assert result.exit_code == 1
    assert "run `data outline` first" in finished(tmp_path / "filter.jsonl")["p0"]["detail"]


@pytest.mark.parametrize("text", ['{"some": "thing"}\n', '[\n {"id": "1"}\n]', "no JSON\nat all\n"])
def test_a_file_of_someone_else_is_not_written_over(tmp_path: Path, text: str) -> None:
    out = tmp_path / "mine.jsonl"
    out.write_text(text)
    with listening(Endpoint()) as endpoint:
        result = command("structure", write(tmp_path / "traces.jsonl", traces(1)), out, endpoint)
        assert not endpoint.asked
    assert result.exit_code == 2 and "mine.jsonl, line 1 is no record of these steps" in shown(result)
    assert out.read_text() == text


def test_a_wrong_tokenizer_is_found_before_anything_is_paid(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint, 1, "--tokenizer", str(tmp_path / "nothing"))
        assert result.exit_code == 2 and "cannot load the tokenizer" in shown(result)
        assert not endpoint.asked


def test_unreadable_lines_are_named_and_the_rest_is_done(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint, 1, more='{"id": "half", "prom\n[1]\n{"prompt": "only"}\n')
    assert result.exit_code == 0
    records = finished(tmp_path / "out" / "1-structure.jsonl")
    reasons = {key[:6]: one.get("reason") for key, one in records.items()}  # the id of line 4 ends in a hash
    assert reasons == {
        "p0": None,
        "line-2": "unreadable_line",
        "line-3": "unreadable_line",
        "trace-": "missing_column",
    }
    assert "traces.jsonl, line 2" in records["line-2"]["detail"]


def test_two_records_of_one_id(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint, 1, more=json.dumps(traces(1)[0]) + "\n")
    assert result.exit_code == 2 and "two records of the id 'p0'" in result.output
