"""`threadweaver serve` with the real vLLM, asked by the official client: the text is that of a rollout."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forking_model import QUESTIONS, save_forking
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
CPU = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
ENGINE = {"max_model_len": 512, "dtype": "float32", "enforce_eager": True, "kv_cache_memory_bytes": 1 << 28}
MODES = ("parallel", "autoregressive")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_forking(tmp_path_factory.mktemp("forking"))


class Up:
    """The command, up and answering."""

    def __init__(self, process: subprocess.Popen[str], url: str, rollouts: list[str]) -> None:
        self.process, self.url = process, url
        asked = [(question, mode) for question in QUESTIONS for mode in MODES]
        self.rollouts = dict(zip(asked, rollouts, strict=True))
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-42", max_retries=0)

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

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.url}/metrics", headers={"Authorization": "Bearer sk-42"}).text
        found = re.search(rf"^threadweaver_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1])


SERVER = """
import asyncio, json
from tests.support.forking_model import QUESTIONS
from tests.support.serving import EOS, TAGS
from tw_plugins.cli import app, serve as command
from tw_plugins.engines.sampling import Sampling
from tw_plugins.rollout import Limits, fork_join

made, make_app, serve = [], command.make_app, command.serve

async def after_rollouts(app, at, up):
    engine = made.pop().engine.with_sampling(Sampling(temperature=0))
    limits = Limits(max_tokens=300, answer_reserve=50)
    found = await asyncio.gather(*(
        fork_join(engine, TAGS.encode(question + EOS), TAGS, limits, mode=mode)
        for question in QUESTIONS for mode in ("parallel", "autoregressive")
    ))
    print(json.dumps([TAGS.decode(one.response_ids).removesuffix(EOS) for one in found]), flush=True)
    await serve(app, at, up)

command.make_app = lambda served: (made.append(served), make_app(served))[1]
command.serve = after_rollouts
app.app()
"""
"""The command, which says what `fork_join` makes of each question on its engine before it begins."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    model = save_forking(tmp_path_factory.mktemp("forking"))
    arguments = [f"--engine-arg={name}={str(value).lower()}" for name, value in ENGINE.items()]
    command = ["serve", "--model", str(model), "--served-model-name", "forking", "--port", "0"]
    with (model / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *command, *arguments],
            cwd=ROOT,
            env={**os.environ, **CPU, "PYTHONPATH": str(ROOT), "THREADWEAVER_API_KEY": "sk-42"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        rollouts, said = process.stdout.readline(), process.stdout.readline()
        found = re.search(r"serving forking at (http://127\.0\.0\.1:\d+)/v1", said)
        assert found is not None, rollouts + said + (model / "log.txt").read_text()[-3000:]
        yield Up(process, found[1], json.loads(rollouts))
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_text_is_that_of_a_rollout(up: Up, mode: str, stream: bool) -> None:
    assert up.rollouts["q3", mode] == joined("q3")  # it has learned to fork
    assert up.ask("q3", mode, stream) == up.rollouts["q3", mode]


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


def test_a_stop_finishes_what_runs(up: Up) -> None:
    """Ctrl-C as a terminal sends it, to vLLM's processes too. The last one: it ends the server."""
    streams = [
        up.client.completions.create(model="forking", prompt=question + EOS, temperature=0, stream=True)
        for question in QUESTIONS
    ]
    assert up.metric("running") > 0
    os.killpg(up.process.pid, signal.SIGINT)
    texts = ["".join(choice.text for chunk in stream for choice in chunk.choices) for stream in streams]
    assert texts == [joined(question) for question in QUESTIONS]
    assert up.process.wait(60) == 0
