"""Stage 1 with an endpoint that fails: what is waited out, left for later, refused, or ends the run."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.listening import listening
from tests.support.stage1_runs import Messages, rejected, shown, stage1
from tests.support.stage1_server import Endpoint, Reply, good
from tw_plugins.data.stage1.runs import finished


def test_rate_limits_and_errors_of_the_server_are_waited_out(tmp_path: Path) -> None:
    failures = [(429, "slow down", {"Retry-After": "0"}), (500, "oops", {}), (503, "busy", {})]

    def model(step: str, messages: Messages) -> Reply:
        return failures.pop() if failures else good(step, messages)

    with listening(Endpoint(model)) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 0
    assert (tmp_path / "out" / "sft.parquet").exists()


def test_a_record_without_an_answer_is_left_for_the_next_run(tmp_path: Path) -> None:
    def model(step: str, messages: Messages) -> Reply:
        if "Problem 1" in messages[0]["content"]:
            time.sleep(2)
        return good(step, messages)

    with listening(Endpoint(model)) as endpoint:
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

    with listening(Endpoint(model)) as endpoint:
        result = stage1(tmp_path, endpoint, 2, "--concurrency", "1")
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert list(finished(tmp_path / "out" / "1-structure.jsonl")) == ["p0"]  # what was done is kept


def test_an_endpoint_that_is_down(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        pass
    result = stage1(tmp_path, endpoint, 1, "--retries", "0")
    assert result.exit_code == 2 and "cannot reach http://127.0.0.1" in result.output


UNSUPPORTED = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."


def refusing(step: str, messages: Messages) -> Reply:
    return 400, UNSUPPORTED, {}


def test_a_refused_record_has_the_endpoints_words_and_is_asked_for_again(tmp_path: Path) -> None:
    with listening(Endpoint(refusing)) as endpoint:
        assert stage1(tmp_path, endpoint, 2).exit_code == 1
        record = finished(tmp_path / "out" / "1-structure.jsonl")["p0"]
        assert (record["reason"], record["detail"]) == ("refused", f"HTTP 400: {UNSUPPORTED}")
        endpoint.model = good
        assert stage1(tmp_path, endpoint, 2).exit_code == 0
    assert len(pq.read_table(tmp_path / "out" / "sft.parquet")) == 2


def test_an_endpoint_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    with listening(Endpoint(refusing)) as endpoint:
        result = stage1(tmp_path, endpoint, 30, "--concurrency", "1")
        assert endpoint.asked.total() == 8
    assert result.exit_code == 2
    assert f"refused the first 8 requests (HTTP 400: {UNSUPPORTED})" in shown(result)


def test_refusals_of_an_endpoint_that_answers_others_do_not_end_the_run(tmp_path: Path) -> None:
    def model(step: str, messages: Messages) -> Reply:
        return good(step, messages) if "roblem 0" in messages[0]["content"] else refusing(step, messages)

    with listening(Endpoint(model)) as endpoint:
        assert stage1(tmp_path, endpoint, 12, "--concurrency", "1").exit_code == 0
        assert stage1(tmp_path, endpoint, 12, "--concurrency", "1").exit_code == 0  # all asked again
        assert endpoint.asked["11", "structure"] == 2
    assert rejected(tmp_path, "1-structure.jsonl") == ["refused"] * 11


def test_an_endpoint_that_wants_to_be_paid(tmp_path: Path) -> None:
    with listening(Endpoint(lambda step, messages: (402, "no credits left", {}))) as endpoint:
        result = stage1(tmp_path, endpoint)
    assert result.exit_code == 2 and "wants to be paid (HTTP 402): no credits left" in shown(result)


def test_an_answer_that_was_cut_is_said_to_be(tmp_path: Path) -> None:
    def cut(step: str, messages: Messages) -> Reply:
        return 200, good(step, messages)[1][:40], {}

    with listening(Endpoint(cut)) as endpoint:
        endpoint.finish = "length"
        assert stage1(tmp_path, endpoint, 1, "--max-tokens", "16").exit_code == 1
        (record,) = finished(tmp_path / "out" / "1-structure.jsonl").values()
        assert record["reason"] == "answer_cut" and "raise --max-tokens" in record["detail"]
        endpoint.model = good  # an answer that has what was asked for will do, cut or not
        assert stage1(tmp_path, endpoint, 1, "--max-tokens", "900").exit_code == 0


def test_a_reasoning_model(tmp_path: Path) -> None:
    def model(step: str, messages: Messages) -> Reply:
        assert not any("let me see" in message["content"] for message in messages)
        text = good(step, messages)[1].replace("```json", "Here is the JSON:").replace("```", "")
        answer = text if len(messages) > 1 else "I cannot say"
        return 200, f"<think>\nlet me see {{a}}\n</think>\n{answer}", {}

    with listening(Endpoint(model)) as endpoint:
        assert stage1(tmp_path, endpoint).exit_code == 0


def test_a_server_that_is_no_endpoint(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        endpoint.page = "<html>hello</html>"
        result = stage1(tmp_path, endpoint)
    assert result.exit_code == 2 and "does not answer as an OpenAI-compatible endpoint" in shown(result)
