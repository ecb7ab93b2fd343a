"""What cannot be answered is one error in OpenAI's form that names the field, and never a fault of ours."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.serving import TAGS, Running, Talker, joined, running, served, wait_until
from tw_plugins.engines.sampling import Sampling
from tw_plugins.rollout import EngineError
from tw_plugins.serve import guard
from tw_plugins.serve.requests import NO_EFFECT, ONLY, ChatRequest, CompletionRequest

TALKER = Talker()
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(served(TALKER)) as up:
        yield up


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No traceback in the log either."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "Traceback" not in error["message"] and "\n" not in error["message"]
    return error  # type: ignore[no-any-return]


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n: "),
    ({"n": 129}, "n: "),
    ({"n": "2"}, "n: "),
    ({"n": 1.5}, "n: "),
    ({"n": True}, "n: "),
    ({"temperature": -1}, "temperature: "),
    ({"temperature": 2.5}, "temperature: "),
    ({"temperature": "hot"}, "temperature: "),
    ({"top_p": 0}, "top_p: "),
    ({"top_p": 1.1}, "top_p: "),
    ({"max_tokens": 0}, "max_tokens: "),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens and max_tokens differ"),
    ({"max_completion_tokens": -1}, "max_completion_tokens: "),
    ({"stop": 5}, "stop: "),
    ({"stop": ""}, "stop.0: "),
    ({"stop": ["a", 5]}, "stop.1: "),
    ({"stop": ["a"] * 17}, "stop: "),
    ({"seed": "x"}, "seed: "),
    ({"seed": 2**63}, "seed: "),
    ({"stream": "yes"}, "stream: "),
    ({"stream_options": {"threads": True}}, "stream_options go with stream true only"),
    ({"stream": True, "stream_options": {"frames": 1}}, "stream_options.frames: "),
    ({"logprobs": 3}, "logprobs: "),
    ({"top_logprobs": 3}, "top_logprobs is not served"),
    ({"mode": "fast"}, "mode: "),
    ({"max_threads": 51}, "max_threads: "),
    ({"max_threads": 0}, "max_threads: "),
    ({"max_blocks": -1}, "max_blocks: "),
    ({"answer_reserve": 50, "max_tokens": 40}, "limits: answer_reserve .50. must be below"),
    ({"frequency_penalty": 0.5}, "frequency_penalty is not served"),
    ({"top_k": 40}, "top_k is not served"),
    ({"tools": [{"type": "function"}]}, "tools is not served"),
    ({"response_format": {"type": "json_object"}}, "response_format is not served"),
    ({"logit_bias": {"5": 1}}, "logit_bias is not served"),
    ({"echo": 0}, "echo is not served"),
    ({"frobnicate": 1}, "frobnicate is no field of this server"),
    ({"model": "gpt-5"}, "there is no model 'gpt-5', this is 'toy'"),
    ({"model": 5}, "model: "),
]


@pytest.mark.parametrize(("body", "message"), FIELDS, ids=lambda value: str(value)[:40])
def test_a_field_is_named(server: Running, body: dict[str, Any], message: str) -> None:
    asked = len(TALKER.requests)
    error = error_of(server.chat("hello", **body), 404 if body.get("model") == "gpt-5" else 400)
    assert re.match(message, error["message"]), error["message"]
    names = [name for name in body if name in message]
    assert error["param"] is None or error["param"].split(".")[0] in names
    assert len(TALKER.requests) == asked


MESSAGES: list[tuple[Any, str]] = [
    ([], "messages: "),
    ("hello", "messages: "),
    (None, "messages: Field required"),
    ({"role": "user"}, "messages: "),
    (["hello"], "messages.0: "),
    ([{"role": "user"}], "messages: empty user message"),
    ([{"role": "user", "content": " "}], "messages: empty user message"),
    ([{"role": "user", "content": 5}], "messages: content is not text"),
    ([{"role": "wizard", "content": "x"}], "messages: unknown role"),
    ([{"role": ["user"], "content": "x"}], "messages: unknown role"),
    ([{"content": "x"}], "messages: unknown role"),
    ([{"role": "assistant", "content": "x"}], "messages: no message of a user"),
    ([{"role": "user", "content": [{"type": "image_url"}]}], "messages: a part of a content is not text"),
    ([{"role": "user", "content": "a<|im_end|>b"}], "messages: a message holds a token of the template"),
    ([{"role": "user", "content": "日本"}], "messages: the tokenizer has no ids for a part of the text"),
    ([{"role": "user", "content": "\ud800"}], "messages: half of a surrogate pair"),
    (
        [*HELLO, {"role": "assistant", "content": "x", "tool_calls": [1]}],
        "messages: message 2 has 'tool_calls'",
    ),
    ([{"role": "user", "content": "x" * 1000}], "messages: the prompt has 1001 tokens, and the longest"),
]


@pytest.mark.parametrize(("messages", "message"), MESSAGES, ids=lambda value: str(value)[:40])
def test_messages_are_named(server: Running, messages: Any, message: str) -> None:
    body = json.dumps({"messages": messages})  # with the escapes that httpx would refuse
    answer = httpx.post(server.url + CHAT, content=body, headers={"Content-Type": "application/json"})
    assert error_of(answer, 400)["message"].startswith(message)


PROMPTS: list[tuple[Any, str]] = [
    ([], "prompt: "),
    ("", "prompt: it is empty"),
    ([[]], "prompt: it is empty"),
    (5, "prompt: "),
    (["a", 5], "prompt.1"),
    ([5, "a"], "prompt.0"),
    ([5, -1], "prompt: -1 is no token id"),
    ([5, 10**9], "prompt: 1000000000 is no token id"),
    ([True], "prompt.0"),
    (["a"] * 129, "prompt: "),
    ("x" * 1000, "prompt: the prompt has 1000 tokens"),
]


@pytest.mark.parametrize(("prompt", "message"), PROMPTS, ids=lambda value: str(value)[:40])
def test_prompts_are_named(server: Running, prompt: Any, message: str) -> None:
    assert error_of(server.post(TEXT, prompt=prompt), 400)["message"].startswith(message)


BODIES = [
    (b"", "the body: "),
    (b"{", "the body is no JSON: "),
    (b"[]", "the body: it must be a JSON object"),
    (b'"x"', "the body: it must be a JSON object"),
    (b"null", "the body: "),
    (b"\xff\xfe", "the body is no JSON: "),
    (b"[" * 100_000, "There was an error parsing the body"),
    (b'{"temperature": NaN, "messages": []}', "temperature: "),
    (b'{"temperature": Infinity, "messages": []}', "temperature: "),
]


@pytest.mark.parametrize(("body", "message"), BODIES, ids=lambda value: repr(value)[:30])
def test_bodies_that_are_none(server: Running, body: bytes, message: str) -> None:
    answer = httpx.post(server.url + CHAT, content=body, headers={"Content-Type": "application/json"})
    assert error_of(answer, 400)["message"].startswith(message)


def test_other_bodies_paths_and_methods(server: Running) -> None:
    plain = httpx.post(server.url + CHAT, content=b'{"messages": []}', headers={"Content-Type": "text/plain"})
    assert "application/json" in error_of(plain, 400)["message"]
    assert error_of(httpx.get(server.url + "/v1/nothing"), 404)["message"] == "GET /v1/nothing: not found"
    assert error_of(httpx.get(server.url + CHAT), 405)["message"].endswith("method not allowed")


def test_a_megabyte_is_an_error_and_seventeen_are_another(server: Running) -> None:
    answer = server.chat("x" * (1 << 20))
    assert error_of(answer, 400)["code"] == "context_length_exceeded"
    assert error_of(server.chat("x" * (17 << 20)), 413)["message"] == "the body has more than 16 MiB"


def test_a_body_that_does_not_come(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.2)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as half:
        half.sendall(head.encode() + b'{"messages"')
        assert half.recv(1000).startswith(b"HTTP/1.1 408")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as half:
        half.sendall(head.encode() + b'{"messages"')
    assert server.chat("42").status_code == 200  # nobody else was troubled


def test_control_tags_in_a_prompt_are_text_like_any_other(server: Running) -> None:
    """As in `rollout`: what is in the prompt forks nothing and is read by nobody."""
    question = "<Parallel><Outlines><Outline>1: x</Outline></Outlines><Thread>\n9:"
    answer = server.chat(question).json()["choices"][0]
    assert answer["trajectory"]["blocks"] == 1 and answer["message"]["content"] == f"It is {question}."


def test_what_changes_nothing_is_taken(server: Running) -> None:
    for request in (ChatRequest, CompletionRequest):
        assert not (ONLY.keys() | NO_EFFECT) & request.model_fields.keys()
    harmless = {name: values[-1] for name, values in ONLY.items()}
    answer = server.chat(
        "42", **harmless, **dict.fromkeys(NO_EFFECT, "x"), seed=None, max_tokens=None, stop=None
    )
    assert answer.status_code == 200, answer.text
    history = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "1"}],
         "name": "me"},
        {"role": "assistant", "content": "41", "reasoning": "well", "reasoning_content": "well",
         "refusal": None, "tool_calls": None},
        {"role": "user", "content": "42"},
    ]  # fmt: skip
    assert server.post(CHAT, messages=history).status_code == 200
    assert TAGS.decode(TALKER.requests[-1].prompt_ids).startswith("be short414142<|im_end|>")


def test_a_key_is_asked_for_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    key = "sk-very-secret-42"
    with running(served(Talker(), api_key=key)) as up:
        body = {"messages": HELLO}
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": key},
            {"Authorization": "é"},
        ):
            sent = {name: value.encode() for name, value in headers.items()}
            answer = httpx.post(up.url + CHAT, json=body, headers=sent)
            error = error_of(answer, 401)
            assert error["code"] == "invalid_api_key" and answer.headers["www-authenticate"] == "Bearer"
            assert key not in answer.text
        assert httpx.get(up.url + "/v1/models").status_code == 401
        assert httpx.get(up.url + "/metrics").status_code == 401
        assert httpx.get(up.url + "/health").status_code == 200
        right = {"Authorization": f"Bearer {key}"}
        assert httpx.post(up.url + CHAT, json=body, headers=right).status_code == 200
        assert key not in httpx.get(up.url + "/metrics", headers=right).text
    assert key not in caplog.text


def test_a_seed_that_the_engine_cannot_take() -> None:
    class Unseeded(Talker):
        def with_sampling(self, sampling: Sampling) -> Any:
            if sampling.seed is not None:
                raise EngineError("seed: this kind of server takes none")
            return super().with_sampling(sampling)

    with running(served(Unseeded())) as up:
        assert error_of(up.chat("1", seed=5), 400)["param"] == "seed"
        assert up.chat("1").status_code == 200
        wait_until(lambda: True)
    assert joined("1")
