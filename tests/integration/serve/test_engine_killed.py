"""`threadweaver serve` whose vLLM is killed: nobody waits for ever, and whoever watches is told."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.forking_model import save_forking
from tests.support.real_server import KEY, RealServer, real_server

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("verl") is None, reason="once is enough: in verl's environment"
    ),
]
CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "q1"}], "temperature": 2, "n": 8}


def _kill_engine(server: RealServer) -> None:
    children = psutil.Process(server.process.pid).children(recursive=True)
    engines = [child for child in children if " ".join(child.cmdline()).startswith("VLLM::EngineCore")]
    assert engines
    for engine in engines:
        engine.kill()


def test_a_stream_ends_in_an_error_and_the_server_says_503_until_it_is_stopped(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        real_server(save_forking(tmp_path)) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=120) as client,
    ):
        with client.stream("POST", CHAT, json={**ASKED, "stream": True}) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: {")
            assert client.get("/health").status_code == 200
            _kill_engine(server)
            *_, error, done = [line.removeprefix("data: ") for line in lines if line]
        assert done == "[DONE]" and json.loads(error)["error"]["code"] == "engine_unavailable"
        refused = client.post(CHAT, json=ASKED)
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "engine_unavailable"
        assert client.get("/health").status_code == 503
        assert server.metric("running") == 0
        server.process.terminate()
        assert server.process.wait(60) == 0
