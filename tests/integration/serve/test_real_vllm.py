"""`threadweaver serve` with the real vLLM, asked by the official client: the text is that of a rollout."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.load.__main__ import ROOM
from tests.load.clients import load
from tests.load.faults import FAULTS
from tests.support.forking_model import QUESTIONS, save_forking
from tests.support.pasted import commands
from tests.support.real_server import KEY, MODES, RealServer, real_server
from tests.support.root import ROOT
from tests.support.serving import EOS, joined

openai = pytest.importorskip("openai")
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("verl") is None, reason="once is enough: in verl's environment"
    ),
]


class Up:
    """The command, up and answering, and the official client of it."""

    def __init__(self, server: RealServer) -> None:
        self.server, self.process, self.url = server, server.process, server.url
        self.rollouts, self.metric = server.rollouts, server.metric
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0)

    def ask(self, question: str, mode: str, stream: bool, **more: Any) -> str:
        """The joined text."""
        asked = {
            "model": "forking",
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "extra_body": {"mode": mode},
            **more,
        }
        if not stream:
            message = self.client.chat.completions.create(**asked).choices[0].message
            return f"<think>{message.reasoning}</think>{message.content}"
        text = {"reasoning": "", "content": ""}
        for chunk in self.client.chat.completions.create(**asked, stream=True):
            for choice in chunk.choices:
                text["reasoning"] += getattr(choice.delta, "reasoning", None) or ""
                text["content"] += choice.delta.content or ""
        return f"<think>{text['reasoning']}</think>{text['content']}"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    model = save_forking(tmp_path_factory.mktemp("forking"))
    with real_server(model, "--max-concurrent", str(ROOM)) as server:
        yield Up(server)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_text_is_that_of_a_rollout(up: Up, mode: str, stream: bool) -> None:
    assert up.rollouts["q3", mode] == joined("q3")  # it has learned to fork
    assert up.ask("q3", mode, stream) == up.rollouts["q3", mode]


def test_what_readme_has_pasted_is_answered(up: Up) -> None:
    (words,) = [words for words in commands(ROOT / "README.md") if words[0] == "curl"]
    assert "localhost:8080" in words[1]
    address = words[1].replace("localhost:8080", up.url.removeprefix("http://"))
    given = json.loads(words[-1].replace("…", "q3")) | {"temperature": 0}
    key = ["-H", f"Authorization: Bearer {KEY}"]  # of this test's server alone
    done = subprocess.run(["curl", "-s", address, *key, *words[2:-1], json.dumps(given)], capture_output=True)
    message = json.loads(done.stdout)["choices"][0]["message"]
    assert f"<think>{message['reasoning']}</think>{message['content']}" == joined("q3")


def test_simultaneous_clients_each_get_their_own_answer(up: Up) -> None:
    asked = [(question, mode, stream) for question in QUESTIONS for mode in MODES for stream in (False, True)]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: up.ask(*one), asked))
    assert answers == [up.rollouts[question, mode] for question, mode, _ in asked]
    assert up.metric("running") == 0


def test_figures_choices_and_completions(up: Up) -> None:
    answer = up.client.completions.create(model="forking", prompt=f"q5{EOS}", temperature=0, n=2, logprobs=0)
    assert [choice.text for choice in answer.choices] == [joined("q5")] * 2
    assert answer.usage.longest_tokens < answer.choices[0].trajectory["total_tokens"]
    assert answer.usage.completion_tokens == 2 * answer.choices[0].trajectory["total_tokens"]
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens) == joined("q5") and -0.5 < min(logprobs.token_logprobs) < 0
    with pytest.raises(openai.BadRequestError, match="frequency_penalty is not served"):
        up.ask("q1", "parallel", False, frequency_penalty=1.5)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{up.url}/v1", api_key="wrong", max_retries=0).models.list()


def test_a_seed_repeats_an_answer(up: Up) -> None:
    """A temperature at which the model no longer says what it learned."""

    def ask(seed: int) -> list[str]:
        made = up.client.completions.create(
            model="forking", prompt=f"q5{EOS}", temperature=2, n=3, seed=seed, max_tokens=60
        )
        return [choice.text for choice in made.choices]

    assert ask(1) == ask(1) != ask(2)
    assert len({*ask(1)}) == 3


def test_a_client_that_leaves_frees_its_room(up: Up) -> None:
    stream = up.client.chat.completions.create(
        model="forking", messages=[{"role": "user", "content": "q1"}], temperature=2, n=8, stream=True
    )
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 10
    while up.metric("running"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_half_a_minute_of_load_with_faults_among_it(up: Up) -> None:
    """64 clients, each answer the one to its own prompt, none lost, memory flat, nobody starved."""
    figures = asyncio.run(load(up.server, clients=64, seconds=30))
    assert not list(figures.judge()), "\n".join(figures.lines())
    assert len(figures.seen) == len(FAULTS) and up.metric("running") == 0


def test_a_stop_finishes_what_runs(up: Up) -> None:
    """Ctrl-C as a terminal sends it, to vLLM's processes too. The last one: it ends the server."""
    asked = {"model": "forking", "temperature": 0, "n": 8, "stream": True}  # enough for a second or more
    streams = [up.client.completions.create(prompt=question + EOS, **asked) for question in QUESTIONS]
    assert up.metric("running") > 0
    os.killpg(up.process.pid, signal.SIGINT)
    for question, stream in zip(QUESTIONS, streams, strict=True):
        texts = dict.fromkeys(range(8), "")
        for choice in (choice for chunk in stream for choice in chunk.choices):
            texts[choice.index] += choice.text
        assert set(texts.values()) == {joined(question)}
    assert up.process.wait(60) == 0
