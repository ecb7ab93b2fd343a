"""Engines: the HTTP one against a real little server, the vLLM one against real vLLM."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.fakes import control_tokens
from tests.support.listening import listening
from tests.support.messages import assert_message
from tests.support.servers import BREAK_OFF, HANG_UP, Server, choice
from tw_plugins.engines import OpenAICompatibleEngine, VLLMEngine
from tw_plugins.rollout import Completion, EngineError, Limits, fork_join

TAGS = control_tokens()


@pytest.fixture
def server() -> Iterator[Server]:
    with listening(Server()) as server:
        yield server


def ask(url: str, prompt: list[int] | None = None, max_tokens: int = 9, **options: Any) -> Completion:
    async def go() -> Completion:
        async with OpenAICompatibleEngine(url, "m", **options) as engine:
            return await engine.generate(
                prompt or [5, 6], stop_token_ids=[7], max_tokens=max_tokens, request_id="r1"
            )

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("status", "there"), [(200, True), (401, True), (405, True), (500, True), (502, False), (503, False)]
)
async def test_a_gateway_before_nothing_is_not_there(
    monkeypatch: pytest.MonkeyPatch, status: int, there: bool
) -> None:
    answer = httpx.MockTransport(lambda request: httpx.Response(status))
    async with OpenAICompatibleEngine("http://gateway/v1", "m") as engine:
        monkeypatch.setattr(engine._server, "_client", httpx.AsyncClient(transport=answer))
        assert await engine.is_up() is there


def test_request_and_answer(server: Server) -> None:
    logprobs = {"token_logprobs": [-0.5, -1.5], "tokens": ["a", "b"]}
    server.answer = lambda body: (200, choice([3, 7], logprobs=logprobs))
    completion = ask(server.url + "/", temperature=0.7, top_p=0.9, api_key="key", extra_body={"top_k": 20})
    assert completion == Completion([3, 7], [-0.5, -1.5], "stop")
    [(path, headers, body)] = server.seen
    assert path == "/v1/completions"
    assert (headers["Authorization"], headers["X-Request-Id"]) == ("Bearer key", "r1")
    assert {"prompt": [5, 6], "stop_token_ids": [7], "max_tokens": 9, "model": "m"}.items() <= body.items()
    assert {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "return_token_ids": True}.items() <= body.items()
    assert "seed" not in body


@pytest.mark.parametrize(
    ("given", "kept"),
    [("length", "length"), ("stop", "stop"), ("eos", "stop"), ("MAX_TOKENS", "length"), ("end_turn", "stop")],
)
def test_finish_reasons(server: Server, given: str, kept: str) -> None:
    server.answer = lambda body: (200, choice([1], given))
    assert ask(server.url) == Completion([1], None, kept)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, "", "content_filter", "SAFETY", "tool_calls"])
def test_what_a_server_took_away_is_no_completion(
    server: Server, pauses: list[float], given: str | None
) -> None:
    server.answer = lambda body: (200, choice([1], given))
    with pytest.raises(EngineError, match="did not end its answer by itself or at its length"):
        ask(server.url)
    assert len(server.seen) == 1


@pytest.mark.parametrize("given", ["abort", "error", "network_error", "anything"])
def test_what_a_server_broke_off_is_asked_again(server: Server, pauses: list[float], given: str) -> None:
    answers = iter([(200, choice([1], given)), (200, choice([2]))])
    server.answer = lambda body: next(answers)
    assert ask(server.url).token_ids == [2] and pauses == [1]


def test_a_full_context_is_a_length(server: Server) -> None:
    ask(server.url, prompt=[1] * 60, max_model_len=64)
    assert server.seen[0][2]["max_tokens"] == 4
    assert ask(server.url, prompt=[1] * 64, max_model_len=64) == Completion([], [], "length")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (400, '{"message": "max_tokens is too large"}', "answered HTTP 400: .*max_tokens is too large"),
        (500, "boom", "answered HTTP 500: boom"),
        (200, "<html>", "did not answer with JSON: '<html>'"),
        (200, {"choices": []}, "answered without choices"),
        (200, choice(None), "returned no token_ids.*return_token_ids"),
        (200, choice([1], "error"), "broke its answer off itself .finish_reason 'error'.: see its log"),
    ],
)
def test_bad_answers_say_what_to_do(
    server: Server, pauses: list[float], status: int, content: Any, message: str
) -> None:
    server.answer = lambda body: (status, content)
    with pytest.raises(EngineError, match=message) as caught:
        ask(server.url)
    assert server.url in str(caught.value)


def test_a_refused_connection_names_the_address() -> None:
    probe = Server()
    probe.server_close()
    with pytest.raises(EngineError) as error:
        ask(probe.url, retries=0)
    assert_message(error.value, rf"cannot reach {probe.url}/completions .ConnectError .*Is the server up")


def test_a_slow_server_is_a_time_out(server: Server) -> None:
    release = threading.Event()
    server.answer = lambda body: (release.wait(30), (200, choice([1])))[1]
    with pytest.raises(EngineError, match="did not answer in time"):
        ask(server.url, timeout=0.2, retries=0)
    release.set()


def test_a_lost_connection_is_made_again(server: Server, pauses: list[float]) -> None:
    answers = iter([(HANG_UP, ""), (BREAK_OFF, choice([4])), (503, "wait"), (200, choice([3]))])
    server.answer = lambda body: next(answers)
    assert ask(server.url).token_ids == [3] and pauses == [1, 2, 4]


def test_a_server_that_always_hangs_up_is_named(server: Server, pauses: list[float]) -> None:
    server.answer = lambda body: (HANG_UP, "")
    with pytest.raises(EngineError) as error:
        ask(server.url, retries=2)
    assert_message(error.value, "cannot reach .*RemoteProtocolError .*Is the server up")
    assert len(server.seen) == 3 and pauses == [1, 2]


def test_a_time_out_is_tried_again(server: Server, pauses: list[float]) -> None:
    release, waits = threading.Event(), [30]
    server.answer = lambda body: (release.wait(waits.pop() if waits else 0), (200, choice([3])))[1]
    assert ask(server.url, timeout=0.5).token_ids == [3] and len(server.seen) > 1
    release.set()


def test_the_server_says_how_long_to_wait(server: Server, pauses: list[float]) -> None:
    answers = iter([(429, ""), (200, choice([3]))] * 2)
    server.answer = lambda body: next(answers)
    server.headers = {"Retry-After": "120"}
    assert ask(server.url).token_ids == [3] and pauses == [120]
    server.headers = {"Retry-After": "3600"}
    with pytest.raises(EngineError) as error:
        ask(server.url)
    assert_message(error.value, r"asks to wait 3600 s \(Retry-After\), more than 600: run the same command")
    assert pauses == [120]


@pytest.mark.parametrize("key", ["sk-hunter22\n", "“sk-hunter22”", "sk-hunter22 "])
def test_a_key_that_cannot_be_sent(server: Server, key: str) -> None:
    with pytest.raises(EngineError) as error:
        ask(server.url, api_key=key)
    assert_message(error.value, "the key in OPENAI_API_KEY has .*, which cannot be sent .*: set it again")
    assert "hunter" not in str(error.value) and not server.seen


@pytest.mark.parametrize("url", ["localhost:8000/v1", "http://host:port/v1"])
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(EngineError) as error:
        ask(url)
    assert_message(error.value, "is no address: .*Give base_url with http://")


def test_fork_join_over_http(server: Server) -> None:
    fork = "<Parallel><Outlines><Outline>1: x</Outline><Outline>2: y</Outline></Outlines>"

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        prompt = TAGS.decode(body["prompt"])
        if TAGS.thread_end in body["stop_token_ids"]:
            return 200, choice(TAGS.encode(f" t{prompt[-2]}</Thread>"))
        return 200, choice(TAGS.encode("</Parallel><|im_end|>" if "</Thread>" in prompt else fork))

    async def go() -> str:
        async with OpenAICompatibleEngine(server.url, "m") as engine:
            rollout = await fork_join(engine, TAGS.encode("Q"), TAGS, Limits(), request_id="tr")
        return TAGS.decode(rollout.response_ids)

    server.answer = answer
    joined = "\n<Thread>\n1: t1</Thread><Thread>\n2: t2</Thread>\n"
    assert asyncio.run(go()) == f"{fork}{joined}</Parallel><|im_end|>"
    assert {headers["X-Request-Id"] for _, headers, _ in server.seen} == {"tr"}


def test_vllm_missing_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EngineError, match=r"needs vLLM \(pip install vllm"):
        VLLMEngine("nowhere")


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_an_unknown_engine_argument_is_named() -> None:
    with pytest.raises(EngineError) as error:
        VLLMEngine("nowhere", nonsense=1, dtype="float32")
    assert_message(error.value, "vLLM has no engine argument nonsense: mend or remove it")
