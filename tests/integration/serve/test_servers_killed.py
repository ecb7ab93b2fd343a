"""`threadweaver serve` in front of the real vLLM, which is killed and started again."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forking_model import QUESTIONS, save_forking
from tests.support.ranks import free_port
from tests.support.real_server import serve_command
from tests.support.serving import thought
from tests.support.vllm_server import answers, vllm_server

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]
CHAT = "/v1/chat/completions"
MODULE = ["-m", "tw_plugins.cli"]


def ask(question: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}], "temperature": 0, **more}


def check_answers(client: httpx.Client) -> None:
    """As the model has learned them by heart."""
    for question in QUESTIONS:
        answer = client.post(CHAT, json=ask(question))
        assert answer.status_code == 200, answer.text
        message = answer.json()["choices"][0]["message"]
        assert message["content"] == f"It is {question}."
        assert message["reasoning"] == thought(question)


def test_answers_are_right_before_and_after_and_refused_in_between(tmp_path: Path) -> None:
    model, port = save_forking(tmp_path), free_port()
    with (
        vllm_server(model, port, "forking") as vllm,
        serve_command(model, MODULE, ["--base-url", f"http://127.0.0.1:{port}/v1"]) as (_, url, _),
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        check_answers(client)
        with client.stream("POST", CHAT, json=ask("q1", temperature=2, n=8, stream=True)) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: {")
            os.killpg(vllm.pid, signal.SIGKILL)
            *_, error, done = [line.removeprefix("data: ") for line in lines if line]
        assert done == "[DONE]" and "error" in json.loads(error)
        assert client.post(CHAT, json=ask("q1")).status_code == 503
        assert not answers(url)
        with vllm_server(model, port, "forking"):
            deadline = time.monotonic() + 120
            while not answers(url):
                assert time.monotonic() < deadline, (model / "log.txt").read_text()
                time.sleep(1)
            check_answers(client)
