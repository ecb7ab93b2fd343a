"""Many clients, clients that leave, and a server that is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.root import ROOT
from tests.support.serving import Running, Talker, joined, running, served, thought, wait_until

CHAT = "/v1/chat/completions"


def begun(up: Running, **body: Any) -> socket.socket:
    """A connection on which a request has been sent, and nothing is read."""
    sent = json.dumps({"messages": [{"role": "user", "content": "42"}], **body})
    lines = [
        f"POST {CHAT} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
    ]
    head = "\r\n".join([*lines, "", ""])
    connection = socket.create_connection(("127.0.0.1", int(up.url.rsplit(":", 1)[1])), timeout=10)
    connection.sendall((head + sent).encode())
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_each_client_gets_the_answer_to_its_own_prompt(stream: bool) -> None:
    talker = Talker(pace_s=0.001)

    async def ask(client: httpx.AsyncClient, up: Running, number: int) -> str:
        body = {"messages": [{"role": "user", "content": f"number {number}"}], "stream": stream}
        answer = await client.post(up.url + CHAT, json=body)
        if not stream:
            message = answer.json()["choices"][0]["message"]
            return message["reasoning"] + "|" + message["content"]
        chunks = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        return "|".join("".join(delta.get(kind, "") for delta in deltas) for kind in ("reasoning", "content"))

    async def all_at_once(up: Running) -> list[str]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            return await asyncio.gather(*(ask(client, up, number) for number in range(48)))

    with running(served(talker)) as up:
        answers = asyncio.run(all_at_once(up))
    assert answers == [f"{thought(f'number {n}')}|It is number {n}." for n in range(48)]
    assert talker.counts["most"] > 40 and talker.counts["cancelled"] == 0


def test_the_text_of_a_thread_waits_for_what_stands_before_it() -> None:
    """While the first thread is held back the second is decoded, and its events are told; its text is not."""
    talker = Talker()

    class Held(Talker):
        async def stream(self, prompt_ids: Any, **asked: Any) -> Any:
            first = len(talker.requests) == 1
            async for piece in talker.stream(prompt_ids, **asked):
                while first and not self.may_go.is_set():
                    await asyncio.sleep(0.005)
                yield piece

    held = Held()
    held.may_go.clear()
    text, of_second = "", ""
    with (
        running(served(held)) as up,
        httpx.stream(
            "POST",
            up.url + "/v1/completions",
            json={"prompt": "42<|im_end|>", "stream": True, "stream_options": {"threads": True}},
            timeout=20,
        ) as answer,
    ):
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            text += "".join(choice["text"] for choice in chunk["choices"])
            if (told := chunk.get("thread")) and told["thread"] == 2:
                of_second += told["text"]
                if told["event"] == "ended":
                    assert of_second == " the second thread of 42\n</Thread>"
                    assert text == joined("42").split(" first")[0]
                    held.may_go.set()
    assert text == joined("42")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_cancels_its_requests(stream: bool) -> None:
    talker = Talker()
    talker.may_go.clear()
    with running(served(talker)) as up:
        told = {"stream_options": {"threads": True}} if stream else {}
        connection = begun(up, stream=stream, n=3, **told)
        wait_until(lambda: talker.counts["under_way"] == 3)
        if stream:
            assert b"200 OK" in connection.recv(1000)
        connection.close()
        wait_until(lambda: talker.counts["under_way"] == 0)
        assert talker.counts["cancelled"] == 3
        talker.may_go.set()
        assert up.chat("42").status_code == 200
        assert "threadweaver_running 0.0" in httpx.get(up.url + "/metrics").text


def test_a_client_that_reads_slowly_gets_all_and_holds_nobody_up() -> None:
    with running(served(Talker(), context=200_000)) as up:
        slow = begun(up, stream=True, n=20, logprobs=True, stream_options={"threads": True})
        assert up.chat("42").status_code == 200
        received = b""
        while b"[DONE]" not in received:
            received += slow.recv(20_000)
            time.sleep(0.001)
        slow.close()
    assert received.count(b'"finish_reason":"stop"') == 20


def test_an_idle_connection_is_not_closed_as_its_client_asks_again() -> None:
    """httpx gives one up after 5 s: a server that closes it then meets a request that is on its way."""
    with running(served(Talker())) as up:
        connection = HTTPConnection(up.url.removeprefix("http://"), timeout=10)
        for pause in (0, 5.5):
            time.sleep(pause)
            connection.request("GET", "/health")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")


def test_more_than_there_is_room_for_is_told_to_come_back() -> None:
    talker = Talker()
    talker.may_go.clear()
    with running(served(talker, max_concurrent=3)) as up, ThreadPoolExecutor() as pool:
        first = pool.submit(up.chat, "1", n=2)
        wait_until(lambda: talker.counts["under_way"] == 2)
        refused = up.chat("2", n=2)
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        error = refused.json()["error"]
        assert error["type"] == "rate_limit_error" and error["code"] == "overloaded"
        never = up.chat("3", n=4)
        assert never.status_code == 400 and never.json()["error"]["param"] == "n"
        assert up.post("/v1/completions", prompt=["a", "b"], n=2).status_code == 400
        talker.may_go.set()
        assert first.result().status_code == 200
        assert up.chat("2", n=3).status_code == 200


def test_a_stop_finishes_what_runs() -> None:
    talker = Talker()
    talker.may_go.clear()
    with running(served(talker)) as up, ThreadPoolExecutor() as pool:
        whole, streamed = pool.submit(up.chat, "1"), pool.submit(up.chat_events, "2")
        wait_until(lambda: talker.counts["under_way"] == 2)
        up.server.should_exit = True
        wait_until(lambda: not up.server.servers[0].is_serving())
        with pytest.raises(httpx.TransportError):  # refused, or closed before it was taken
            up.chat("3")
        talker.may_go.set()
        assert whole.result().json()["choices"][0]["message"]["content"] == "It is 1."
        assert streamed.result()[-1]["choices"][0]["finish_reason"] == "stop"
        up.thread.join(10)
        assert not up.thread.is_alive()


SERVER = """
import asyncio, sys
from tests.support.serving import Talker, served
from tw_plugins.serve.app import make_app
from tw_plugins.serve.server import bound, serve, shown

with bound("127.0.0.1", 0) as at:
    app = make_app(served(Talker(pace_s=0.05)))
    asyncio.run(serve(app, at, lambda: print(shown(at), flush=True)))
print("done", flush=True)
"""


def test_ctrl_c_finishes_what_runs_and_is_no_failure() -> None:
    """A process of its own, for signals go to the main thread."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()

    with ThreadPoolExecutor() as pool:
        body = {"messages": [{"role": "user", "content": "42"}]}
        answer = pool.submit(httpx.post, url + CHAT, json=body, timeout=60)
        wait_until(lambda: "threadweaver_running 1.0" in httpx.get(url + "/metrics").text, 30)
        process.send_signal(signal.SIGINT)
        assert answer.result().json()["choices"][0]["message"]["content"] == "It is 42."
    assert process.wait(20) == 0 and process.stdout.read() == "done\n"


def test_the_address_is_known_to_be_free_before_anything_is_loaded(tmp_path: Path) -> None:
    from tw_plugins.serve.server import ServeError, bound, is_loopback

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"port {port} of 127.0.0.1 is taken: give another --port"):
            bound("127.0.0.1", port)
    with pytest.raises(ServeError, match="--host nohost is no address"):
        bound("nohost", 0)
    with pytest.raises(ServeError, match="cannot be used"):
        bound("192.0.2.1", 0)
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "me")] == [
        True, True, True, False, False
    ]  # fmt: skip
