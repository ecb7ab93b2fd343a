"""`threadweaver serve` with the real vLLM, asked by the official client: the text is that of a rollout."""

from __future__ import annotations

import asyncio
import importlib.util
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
from tests.support.serving import EOS, TAGS, joined
from tw_plugins.engines import VLLMEngine
from tw_plugins.rollout import Limits, fork_join

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


@pytest.fixture(scope="module")
def rollouts(model: Path) -> dict[tuple[str, str], str]:
    """What fork_join makes of each question in each mode, greedily, on vLLM; without the end of the text."""

    async def go(engine: VLLMEngine) -> dict[tuple[str, str], str]:
        limits = Limits(max_tokens=300, answer_reserve=50)
        found = {}
        for question in QUESTIONS:
            for mode in MODES:
                ids = TAGS.encode(question + EOS)
                rollout = await fork_join(engine, ids, TAGS, limits, mode=mode)  # type: ignore[arg-type]
                found[question, mode] = TAGS.decode(rollout.response_ids).removesuffix(EOS)
        return found

    before = {name: os.environ.get(name) for name in CPU}
    os.environ.update(CPU)
    try:
        with VLLMEngine(str(model), temperature=0.0, **ENGINE) as engine:
            return asyncio.run(go(engine))
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class Up:
    """The command, up and answering."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
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


@pytest.fixture(scope="module")
def up(model: Path, rollouts: object) -> Iterator[Up]:
    """Behind the rollouts, so that one engine runs at a time."""
    arguments = [f"--engine-arg={name}={str(value).lower()}" for name, value in ENGINE.items()]
    command = ["serve", "--model", str(model), "--served-model-name", "forking", "--port", "0"]
    with (model / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tw_plugins.cli", *command, *arguments],
            env={**os.environ, **CPU, "PYTHONPATH": str(ROOT), "THREADWEAVER_API_KEY": "sk-42"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"serving forking at (http://127\.0\.0\.1:\d+)/v1", said)
        assert found is not None, said + (model / "log.txt").read_text()[-3000:]
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(found[1] + "/health").status_code == 200:
                    break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield Up(process, found[1])
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_text_is_that_of_a_rollout(
    up: Up, rollouts: dict[tuple[str, str], str], mode: str, stream: bool
) -> None:
    assert rollouts["q3", mode] == joined("q3")  # it has learned to fork
    assert up.ask("q3", mode, stream) == rollouts["q3", mode]


def test_simultaneous_clients_each_get_their_own_answer(up: Up, rollouts: dict[tuple[str, str], str]) -> None:
    asked = [(question, mode, stream) for question in QUESTIONS for mode in MODES for stream in (False, True)]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: up.ask(*one), asked))
    assert answers == [rollouts[question, mode] for question, mode, _ in asked]
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
    """The last one: it ends the server."""
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(up.ask, question, "parallel", True) for question in QUESTIONS]
        while up.metric("running") < 4:
            time.sleep(0.005)
        up.process.send_signal(signal.SIGTERM)
        assert [answer.result() for answer in answers] == [joined(question) for question in QUESTIONS]
    assert up.process.wait(60) == 0
