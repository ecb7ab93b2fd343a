"""HTTP 200 and no answer: nothing of it is kept as one, and the next run asks again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.listening import listening
from tests.support.stage1_runs import Messages, rejected, shown, stage1
from tests.support.stage1_server import Endpoint, Reply, good
from tw_plugins.data.stage1.chat_answer import answer_in
from tw_plugins.data.stage1.endpoint_errors import Refused, Unanswered
from tw_plugins.data.stage1.journal import Answer, Journal
from tw_plugins.data.stage1.runs import finished


def completion(message: Any = None, finish: Any = "stop", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": finish, "message": message, **choice}]}


def said(content: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return completion({"role": "assistant", "content": content, **more}, finish)


CALL = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
NO_ANSWERS: dict[str, tuple[Any, str]] = {
    "an error": ({"error": {"message": "overloaded", "code": "busy"}}, "with an error (overloaded)"),
    "an error in a word": ({"error": "overloaded"}, "with an error (overloaded)"),
    "vLLM's older error": (
        {"object": "error", "message": "too long", "code": 400},
        "with an error (too long)",
    ),
    "no choices": ({"choices": []}, "choices that are []"),
    "null for choices": ({"choices": None}, "choices that are None"),
    "choices by name": ({"choices": {"0": said("x")}}, "choices that are {"),
    "a choice that is text": ({"choices": ["x"]}, "choices that are ['x']"),
    "nothing at all": ({}, "choices that are None"),
    "no message": (completion(), "a message that is None"),
    "null for a text": (said(None), "a text that is None"),
    "a text in pieces": (said([{"type": "text", "text": "x"}]), "a text that is ["),
    "a number": (said(5), "a text that is 5"),
    "calls of tools": (said(None, "tool_calls", tool_calls=CALL), "calls of tools in place of a text"),
    "calls of tools and nothing": (said("", tool_calls=CALL), "calls of tools in place of a text"),
    "a piece of a stream": ({"choices": [{"delta": {"content": "x"}}]}, "a piece of a stream"),
    "a stream": ('data: {"choices": []}\n\ndata: [DONE]\n', "did not answer with JSON"),
    "half a text": ('{"choices": [{"mess', "did not answer with JSON"),
    "a page": ("<html>hello</html>", "does not answer as an OpenAI-compatible endpoint"),
    "a list": ([said("x")], "answered with a list in place of an object"),
    "broken off by the server": (
        said("half", "abort"),
        "broke its answer off itself (finish_reason 'abort')",
    ),
    "failed in the server": (said("half", "error"), "broke its answer off itself (finish_reason 'error')"),
    "out of machines": (said("half", "insufficient_system_resource"), "broke its answer off itself (finish"),
    "an error in the choice": (
        completion({"content": "half"}, error={"code": 502, "message": "provider down"}),
        "with an error (provider down)",
    ),
    "an error by no name": ({"code": 429, "message": "slow down"}, "with an error (slow down)"),
    "a text before calls of tools": (said("I call", "tool_calls"), "calls of tools in place of a text"),
    "nothing, and no reason": (said("", None), "an empty text and no finish_reason"),
    "a nest": ("[" * 100_000, "did not answer with JSON"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_a_record_without_an_answer_is_asked_about_again(tmp_path: Path, name: str) -> None:
    body, message = NO_ANSWERS[name]
    with listening(Endpoint()) as endpoint:
        endpoint.page = body if isinstance(body, str) else json.dumps(body)
        result = stage1(tmp_path, endpoint, 2, "--retries", "0")
        assert result.exit_code == 2, result.output
        assert "2 records got no answer (" in shown(result) and message in shown(result)
        assert "Run the same command again" in shown(result)
        assert not (tmp_path / "out" / "model-answers.jsonl").exists()
        endpoint.page = ""
        assert stage1(tmp_path, endpoint, 2).exit_code == 0
        assert endpoint.asked["0", "structure"] == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (said("", "content_filter"), "content filter took the answer away"),
        (said("half of it", "content_filter"), "content filter took the answer away"),
        (said("half of it", "SAFETY"), "took the answer away (finish_reason SAFETY)"),
        (said(None, refusal="I cannot help with that"), "the model declined: I cannot help with that"),
    ],
)
def test_what_is_declined_is_refused_and_asked_about_again(tmp_path: Path, body: Any, message: str) -> None:
    with listening(Endpoint()) as endpoint:
        endpoint.page = json.dumps(body)
        assert stage1(tmp_path, endpoint, 2).exit_code == 1
        record = finished(tmp_path / "out" / "1-structure.jsonl")["p0"]
        assert record["reason"] == "refused" and message in record["detail"]
        endpoint.page = ""
        assert stage1(tmp_path, endpoint, 2).exit_code == 0


def test_an_endpoint_that_never_answers_ends_the_run(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        endpoint.page = "<html>hello</html>"
        result = stage1(tmp_path, endpoint, 30, "--concurrency", "1")
        assert endpoint.asked.total() == 8
    assert result.exit_code == 2 and "did not answer the first 8 requests" in shown(result)
    assert "give the base_url of an endpoint that does" in shown(result)


def test_reasoning_that_took_all_tokens_is_an_answer_that_was_cut(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        endpoint.page = json.dumps(said(None, "length", reasoning_content="let me see"))
        assert stage1(tmp_path, endpoint).exit_code == 1
    assert rejected(tmp_path, "1-structure.jsonl") == ["answer_cut"]


@pytest.mark.parametrize(
    "usage",
    [
        *(None, [], {"prompt_tokens": None}, {"prompt_tokens": True}, {"prompt_tokens": -3}),
        {"prompt_tokens": 10**400},  # which no dollars can be made of
    ],
)
def test_an_odd_count_of_tokens_counts_as_none(usage: Any) -> None:
    assert answer_in({**said("x"), "usage": usage}) == Answer("x", False, 0, 0)


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_text_that_was_cut_under_another_name(reason: str) -> None:
    assert answer_in(said("x", reason)).cut and not answer_in(said("x", "eos_token")).cut


def test_half_a_character_can_be_sent_back() -> None:
    assert answer_in(said("\ud83d")).text == "\\ud83d"


@pytest.mark.parametrize(("body", "error"), [(said(None), Unanswered), (said("", "content_filter"), Refused)])
def test_errors_are_told_apart(body: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        answer_in(body)


# ── journals of earlier versions ──


def poisoned(folder: Path) -> None:
    """Turns the journal into one of earlier versions, which wrote an empty text for an error."""
    path = folder / "out" / "model-answers.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("form")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_answers_that_were_none_are_asked_for_again(tmp_path: Path) -> None:
    def empty(step: str, messages: Messages) -> Reply:
        return (200, "", {}) if "Problem 1" in messages[0]["content"] else good(step, messages)

    with listening(Endpoint(empty)) as endpoint:
        stage1(tmp_path, endpoint, 2)
        assert rejected(tmp_path, "1-structure.jsonl") == ["malformed_answer"]
        poisoned(tmp_path)
        endpoint.model = good
        asked = endpoint.asked["0", "structure"]
        result = stage1(tmp_path, endpoint, 2)
        assert result.exit_code == 0, result.output
        assert (
            "3 entries of earlier runs are no answers; records that were left with none are asked"
            in shown(result)
        )
        assert rejected(tmp_path, "1-structure.jsonl") == []
        assert endpoint.asked["0", "structure"] == asked  # what was answered is not paid for twice
        before = endpoint.asked.total()
        again = stage1(tmp_path, endpoint, 2)
        assert again.exit_code == 0 and endpoint.asked.total() == before


def test_an_empty_text_of_the_models_own_is_not_asked_for_again(tmp_path: Path) -> None:
    with listening(Endpoint(lambda step, messages: (200, "", {}))) as endpoint:
        stage1(tmp_path, endpoint)
        asked = endpoint.asked.total()
        result = stage1(tmp_path, endpoint)
        assert endpoint.asked.total() == asked == 3
    assert rejected(tmp_path, "1-structure.jsonl") == ["malformed_answer"]
    assert "no answers" not in shown(result)


@pytest.mark.parametrize(
    "line",
    [
        '{"key": "x", "text": "", "cut": false, "prompt_tokens": 0, "answer_tokens": 0}',
        '{"key": "x", "text": null, "cut": false, "prompt_tokens": 0, "answer_tokens": 0}',
        '{"key": "x", "text": "y", "cut": null, "prompt_tokens": 0, "answer_tokens": 0}',
        '{"key": "x", "text": "y", "cut": false, "prompt_tokens": null, "answer_tokens": 0}',
        '{"key": ["x"], "text": "y", "cut": false, "prompt_tokens": 0, "answer_tokens": 0}',
        '{"key": "x", "text": "y"}',
        "[]",
        "half a line",
    ],
)
def test_what_cannot_be_an_answer_is_counted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(line + "\n")
    assert Journal(path).unusable == 1


def test_what_was_answered_since_is_no_longer_counted(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Journal(path).add({"model": "m"}, Answer("", False, 3, 1))
    first = {**json.loads(path.read_text()), "text": ""}
    first.pop("form")
    path.write_text(json.dumps(first) + "\n")
    journal = Journal(path)
    assert journal.unusable == 1 and journal.get({"model": "m"}) is None
    journal.add({"model": "m"}, Answer("yes", False, 3, 1))
    journal = Journal(path)
    assert journal.unusable == 0 and journal.get({"model": "m"}) == Answer("yes", False, 3, 1)
    assert journal.all_runs.requests == 2  # both were paid for
