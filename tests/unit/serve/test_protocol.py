"""Whole answers and streams in OpenAI's form, and what each field of a request does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.serving import TAGS, Running, Talker, joined, running, served, thought
from tw_plugins.rollout import EngineError
from tw_plugins.serve.served import Defaults

TALKER = Talker()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(served(TALKER)) as up:
        yield up


def test_a_whole_answer(server: Running) -> None:
    answer = server.chat("42", model="toy").json()
    (choice,) = answer["choices"]
    message = choice["message"]
    assert answer["object"] == "chat.completion" and answer["id"].startswith("chatcmpl-")
    assert message["content"] == "It is 42." and message["role"] == "assistant"
    assert message["reasoning"] == message["reasoning_content"] == thought("42")
    assert choice["finish_reason"] == "stop" and choice["logprobs"] is None
    prompt = len(TAGS.encode("42<|im_end|>"))
    usage, figures = answer["usage"], choice["trajectory"]
    assert usage["prompt_tokens"] == prompt and usage["total_tokens"] == prompt + usage["completion_tokens"]
    assert usage["longest_tokens"] < usage["completion_tokens"] == figures["total_tokens"]
    assert (figures["blocks"], figures["threads"], figures["limits_hit"]) == (1, 2, {})


def test_autoregressively_it_is_one_request(server: Running) -> None:
    asked = len(TALKER.requests)
    answer = server.chat("42", mode="autoregressive").json()
    assert len(TALKER.requests) == asked + 1
    assert answer["choices"][0]["message"]["reasoning"] == thought("42")
    assert answer["usage"]["longest_tokens"] == answer["usage"]["completion_tokens"]


def test_completions_are_the_text_as_it_is(server: Running) -> None:
    answer = server.post("/v1/completions", prompt=["1<|im_end|>", "2<|im_end|>"], n=2).json()
    assert [choice["text"] for choice in answer["choices"]] == [joined(one) for one in "1122"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    ids = TAGS.encode("3<|im_end|>")
    assert server.post("/v1/completions", prompt=ids).json()["choices"][0]["text"] == joined("3")
    assert server.post("/v1/completions", prompt=[ids]).json()["usage"]["prompt_tokens"] == len(ids)


def test_models_health_and_metrics(server: Running) -> None:
    import httpx

    (model,) = httpx.get(server.url + "/v1/models").json()["data"]
    assert (model["id"], model["max_model_len"], model["object"]) == ("toy", 1000, "model")
    assert httpx.get(server.url + "/health").status_code == 200
    server.chat("9", max_tokens=5)
    text = httpx.get(server.url + "/metrics").text
    assert 'threadweaver_limits_hit_total{limit="max_tokens"}' in text
    assert 'threadweaver_requests_total{path="/v1/chat/completions",status="200"}' in text
    assert "threadweaver_running 0.0" in text
    TALKER.alive = False
    assert httpx.get(server.url + "/health").status_code == 503
    TALKER.alive = True


def test_a_stream_is_the_same_answer(server: Running) -> None:
    chunks = server.chat_events("42", stream_options={"include_usage": True})
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "It is 42."
    assert "".join(delta.get("reasoning", "") for delta in deltas) == thought("42")
    assert all(delta.get("reasoning") == delta.get("reasoning_content") for delta in deltas)
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons[:-1] == [None] * (len(reasons) - 1) and reasons[-1] == "stop"
    whole = server.chat("42").json()
    assert chunks[-1]["usage"] == whole["usage"] and chunks[-1]["choices"] == []


def test_streams_of_several_choices_and_of_text(server: Running) -> None:
    chunks = server.events("/v1/completions", prompt=["7<|im_end|>", "8<|im_end|>"])
    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == [joined("7"), joined("8")]


def test_threads_are_told_as_they_come(server: Running) -> None:
    chunks = server.chat_events("42", stream_options={"threads": True})
    told = [chunk["thread"] for chunk in chunks if "thread" in chunk]
    assert all(chunk["choices"] == [] for chunk in chunks if "thread" in chunk)
    texts: dict[tuple[int, Any], str] = {}
    for one in told:
        place = (one["block"], one["thread"])
        texts[place] = texts.get(place, "") + one["text"]
    assert texts[1, 1] == " first 42\n</Thread>" and texts[1, 2] == " the second thread of 42\n</Thread>"
    assert list(texts) == [(0, None), (1, 1), (1, 2), (1, None)]
    events = [(one["thread"], one["event"]) for one in told if one["block"] == 1 and one["thread"]]
    assert events[:2] == [(1, "began"), (2, "began")] and (2, "text") in events[: events.index((1, "ended"))]
    assert [one["seconds"] for one in told] == sorted(one["seconds"] for one in told)
    assert "thread" not in str(server.chat_events("42")[3:6])


def test_logprobs_of_what_was_sampled(server: Running) -> None:
    answer = server.chat("42", logprobs=True, top_logprobs=0).json()["choices"][0]
    tokens = answer["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == joined("42")
    injected = [token["token"] for token in tokens if token.get("injected")]
    assert "".join(injected) == "\n<Thread>\n1:<Thread>\n2:\n"
    assert {token["logprob"] for token in tokens if not token.get("injected")} == {-0.5}
    chunks = server.chat_events("42", logprobs=True)
    parts = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
    assert [token for part in parts for token in part["content"]] == tokens
    text = server.post("/v1/completions", prompt="42<|im_end|>", logprobs=0).json()["choices"][0]
    assert "".join(text["logprobs"]["tokens"]) == joined("42")


def test_sampling_is_the_requests_own(server: Running) -> None:
    del TALKER.samplings[:]
    server.chat("1", temperature=0.3, top_p=0.9, seed=7, n=2)
    server.chat("1", temperature=0.3, top_p=0.9, seed=7)
    server.chat("1", temperature=0, seed=None)
    seeds = {one.seed for one in TALKER.samplings if one.temperature == 0.3}
    assert len(seeds) == 2 and None not in seeds  # one for each choice, the same in each request
    assert {(one.temperature, one.top_p) for one in TALKER.samplings} == {(0.3, 0.9), (0, 1.0)}


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_cuts_the_text_and_what_is_still_decoded(server: Running, stream: bool) -> None:
    cancelled = TALKER.counts["cancelled"]

    def text(**body: Any) -> tuple[str, str]:
        if not stream:
            choice = server.post("/v1/completions", prompt="42<|im_end|>", **body).json()["choices"][0]
            return choice["text"], choice["finish_reason"]
        chunks = server.events("/v1/completions", prompt="42<|im_end|>", **body)
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        return "".join(choice["text"] for choice in choices), choices[-1]["finish_reason"]

    assert text(stop="first") == (joined("42").split("first")[0], "stop")
    assert TALKER.counts["cancelled"] > cancelled and TALKER.counts["under_way"] == 0
    assert text(stop=["nowhere", "second thread"]) == (joined("42").split("second thread")[0], "stop")
    assert text(stop=["nowhere", "42.!"]) == (joined("42"), "stop")
    assert text(max_tokens=10) == (TAGS.decode(TAGS.encode(joined("42"))[:10]), "length")


def test_our_limits_hold(server: Running) -> None:
    figures = server.chat("42", max_threads=1).json()["choices"][0]["trajectory"]
    assert figures["blocks"] == 0 and "max_threads" in figures["limits_hit"]
    figures = server.chat("42", max_thread_tokens=3).json()["choices"][0]["trajectory"]
    assert figures["limits_hit"] == {"max_thread_tokens": 2}
    assert server.chat("42", max_blocks=0).json()["choices"][0]["trajectory"]["blocks"] == 0


def test_what_a_request_does_not_say_is_the_servers() -> None:
    talker = Talker()
    defaults = Defaults(mode="autoregressive", temperature=0.5, max_tokens=20)
    with running(served(talker, defaults=defaults)) as up:
        choice = up.chat("42").json()["choices"][0]
    assert choice["finish_reason"] == "length" and choice["trajectory"]["total_tokens"] == 20
    assert talker.samplings[0].temperature == 0.5 and len(talker.requests) == 1


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_fails(number: int, stream: bool) -> None:
    """Before anything is sent it is a status, behind that an event of the stream."""
    talker = Talker(fails={number: EngineError("no log is like another")})
    with running(served(talker)) as up:
        if stream and number:
            last = up.chat_events("42")[-1]["error"]
        else:
            answer = up.chat("42", stream=stream)
            assert answer.status_code == 502
            last = answer.json()["error"]
        assert last["message"] == "no log is like another" and last["type"] == "server_error"
        assert talker.counts["under_way"] == 0
        assert up.chat("42").status_code == 200
