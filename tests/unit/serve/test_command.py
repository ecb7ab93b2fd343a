"""`threadweaver serve` in front of servers: one that is lost is left out, its work done by another."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.support.fakes import EOS
from tests.support.listening import listening
from tests.support.servers import HANG_UP, Server, choice
from tests.support.serving import TAGS, Running, joined, running, segments, served, thought, wait_until
from tw_plugins.cli.app import app
from tw_plugins.engines import OpenAICompatibleEngine, SGLangEngine, Spread
from tw_plugins.engines.choice import Asking, Servers
from tw_plugins.engines.choice import Server as Upstream
from tw_plugins.engines.sampling import Sampler, Sampling
from tw_plugins.rollout import EngineError, Piece
from tw_plugins.serve.served import Served


def answer_to(body: dict[str, Any], ids: bool = True, break_off: int | None = None) -> tuple[int, Any]:
    """As vLLM's server: a stream of events where one is asked for."""
    question, _, said = TAGS.decode(body["prompt"]).partition(EOS)
    opening, threads, closing = segments(question)
    if TAGS.thread_end in body["stop_token_ids"]:
        text, done = threads[int(re.findall(r"(\d+):", said)[-1]) - 1], said.rpartition(":")[2]
    else:
        text, done = (closing, said.rpartition("</Thread>\n")[2]) if "</Thread>" in said else (opening, said)
    left = TAGS.encode(text)[len(TAGS.encode(done)) :]  # somebody else may have begun it
    if not body.get("stream"):
        return 200, choice(left, logprobs={"token_logprobs": [-0.5] * len(left)})
    events = []
    for token in left[:break_off]:
        more = {"token_ids": [token], "logprobs": {"token_logprobs": [-0.5]}} if ids else {}
        events.append({"choices": [{"text": TAGS.decode([token]), "finish_reason": None, **more}]})
    if break_off is None:
        more = {"token_ids": [], "logprobs": {"token_logprobs": []}} if ids else {}
        events += [{"choices": [{"text": "", "finish_reason": "stop", **more}]}, {"choices": [], "usage": {}}]
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events]
    return 200, "".join(lines) + ("data: [DONE]\n\n" if break_off is None else "")


PAUSE_S = 2.0  # until a server that was lost is asked again: longer than a busy machine takes for a request


@contextmanager
def upstream(**how: Any) -> Iterator[Server]:
    with listening(Server()) as made:
        made.headers = {"Content-Type": "text/event-stream"}
        made.answer = lambda body: answer_to(body, **how)
        yield made


@contextmanager
def in_front_of(*servers: Server, kind: Any = "openai") -> Iterator[Running]:
    """The server, with engines as the command makes them."""
    where = Servers(tuple(Upstream(one.url, "m", kind) for one in servers))
    ready, stop = threading.Event(), threading.Event()
    made: list[Served] = []

    async def hold() -> None:
        asking = Asking(1.0, 1.0, 1000, len(TAGS.tag_of) + 200, retries=0)
        async with where.engine(asking, pause_s=PAUSE_S) as engine:
            made.append(served(engine))
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(hold()), daemon=True)
    thread.start()
    assert ready.wait(10)
    with running(made[0]) as up:
        yield up
    stop.set()
    thread.join(10)


def deltas(up: Running, kind: str, **body: Any) -> str:
    found = [choice["delta"] for chunk in up.chat_events("42", **body) for choice in chunk["choices"]]
    return "".join(delta.get(kind, "") for delta in found)


def test_a_server_that_streams_ids() -> None:
    with upstream() as one, in_front_of(one) as up:
        assert deltas(up, "reasoning", temperature=0.5, seed=3) == thought("42")
        assert all(body["stream"] and body["temperature"] == 0.5 for _, _, body in one.seen)
        assert len({body["seed"] for _, _, body in one.seen}) == 4  # one of each request
        whole = up.chat("42", logprobs=True).json()["choices"][0]
        assert whole["message"]["content"] == "It is 42."
        assert "stream" not in one.seen[-1][2] and "seed" not in one.seen[-1][2]


def test_a_server_that_streams_no_ids_is_asked_for_whole_answers(caplog: pytest.LogCaptureFixture) -> None:
    with upstream(ids=False) as one, in_front_of(one) as up:
        assert deltas(up, "reasoning") == thought("42")
        assert deltas(up, "content") == "It is 42."
    assert [body.get("stream", False) for _, _, body in one.seen].count(True) == 1
    assert caplog.text.count("streams no token ids: text comes a request at a time") == 1


def test_a_server_that_is_lost_in_the_middle_and_is_back(caplog: pytest.LogCaptureFixture) -> None:
    """Another one goes on behind the last id; the client sees nothing of it."""
    with upstream() as good, upstream(break_off=3) as bad, in_front_of(bad, good) as up:
        assert deltas(up, "reasoning") == thought("42")
        assert "server 1 is lost, others do its work" in caplog.text
        asked = len(bad.seen)
        assert asked == 1 and deltas(up, "content") == "It is 42." and len(bad.seen) == asked
        (continued,) = [body for _, _, body in good.seen if TAGS.decode(body["prompt"]).endswith("<think>of")]
        assert continued["max_tokens"] == 1000 - len(TAGS.encode("42<|im_end|>")) - 3
        bad.answer = lambda body: answer_to(body)
        wait_until(lambda: up.chat("42").status_code == 200 and len(bad.seen) > asked)
        assert "server 1 is back" in caplog.text


def test_no_server_is_left() -> None:
    with upstream() as one, upstream() as two, in_front_of(one, two) as up:
        one.answer = two.answer = lambda body: (HANG_UP, "")
        answer = up.chat("42")
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "engine_unavailable"
        assert httpx.get(up.url + "/health").status_code == 503
        one.answer = answer_to
        wait_until(lambda: httpx.get(up.url + "/health").status_code == 200)
        assert up.chat("42").status_code == 200


def test_one_server_that_is_gone() -> None:
    with upstream() as one, in_front_of(one) as up:
        assert httpx.get(up.url + "/health").status_code == 200
        one.shutdown()
        one.server_close()
        assert httpx.get(up.url + "/health").status_code == 503
        assert up.chat("42").status_code == 503


async def test_what_a_stream_can_break_with() -> None:
    async def pieces(answer: tuple[int, Any], kind: str = "text/event-stream") -> list[Piece]:
        with upstream() as one:
            one.answer, one.headers = lambda body: answer, {"Content-Type": kind}
            async with OpenAICompatibleEngine(one.url, "m", retries=0, vocab_size=100) as engine:
                asked = {"stop_token_ids": [7], "max_tokens": 9, "request_id": "r"}
                return [piece async for piece in engine.stream([5], **asked)]

    def event(**choice: Any) -> str:
        return f"data: {json.dumps({'choices': [{'token_ids': [1], 'finish_reason': None, **choice}]})}\n\n"

    for sent, message in {
        event(): "broke its stream off",
        event() + "data: [DONE]\n\n": "ended its stream without a finish reason",
        event(token_ids=[100]): "100 among its token ids",
        event(token_ids="1"): "a str where a list of token ids must be",
        event(finish_reason="error"): "broke its answer off itself",
        event() + 'data: {"error": {"message": "out of memory"}}\n\n': "with an error .out of memory",
        "data: {\n\n": "JSON that is whole",
    }.items():
        with pytest.raises(EngineError, match=message):
            await pieces((200, sent))
    with pytest.raises(EngineError, match="HTTP 500"):
        await pieces((500, "{}"))
    line = event(text="a\u2028b\u0085c") + event(finish_reason="stop") + "data: [DONE]\n\n"
    assert len(await pieces((200, line.replace("\\u2028", "\u2028").replace("\\u0085", "\u0085")))) == 2
    (whole,) = await pieces((200, choice([3, 7])), "application/json")  # it knows no streams
    assert (whole.token_ids, whole.finish_reason) == ([3, 7], "stop")


def test_which_engines_sample_as_each_request_asks() -> None:
    one = OpenAICompatibleEngine("http://localhost:1/v1", "m")
    old = SGLangEngine("http://localhost:1", "m")
    spread = Spread([("a", one), ("b", old)])
    assert all(isinstance(engine, Sampler) for engine in (one, old, spread))
    for engine in (old, spread):
        with pytest.raises(EngineError, match="seed: this kind of server"):
            engine.with_sampling(Sampling(seed=1))
        engine.with_sampling(Sampling(0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "both"], "--mode is 'both': choose parallel or autoregressive"),
        (["--api-key", ""], "--api-key is empty, or has a character that no header can hold"),
        (["--api-key", "tête à tête"], "--api-key is empty, or has a character that no header can hold"),
        (["--seed", "1"], "--seed is for vLLM in this process"),
        (["--host", "192.0.2.1"], "192.0.2.1, port 8080, cannot be used"),
        (["--server", "tgi"], "--server is 'tgi'"),
    ],
)
def test_bad_options_are_named(options: list[str], message: str, model: Path) -> None:
    base = ["serve", "--model", str(model), "--base-url", "http://localhost:1/v1"]
    result = CliRunner().invoke(app, [*base, *options])
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert "tête" not in result.output


def test_a_key_in_the_environment_is_in_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADWEAVER_API_KEY", "sk-very-secret")
    shown = CliRunner().invoke(app, ["serve", "--help"])
    assert shown.exit_code == 0 and "THREADWEAVER_API_KEY" in shown.output
    assert "sk-very" not in shown.output


def test_without_the_extra_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from email.message import Message

    declared = Message()
    declared["Provides-Extra"], declared["Requires-Dist"] = "serve", 'fastapi>=0.115; extra == "serve"'
    monkeypatch.setattr("tw_plugins.cli.extras.metadata", lambda name: declared)
    for name in [
        name for name in sys.modules if name.startswith(("tw_plugins.serve", "tw_plugins.cli.serve"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = CliRunner().invoke(app, ["serve", "--model", "m"])
    assert result.exit_code == 2
    assert result.output == (
        "error: this needs fastapi, which is not installed: pip install 'tw-plugins[serve]'\n"
    )
    assert joined("1")
