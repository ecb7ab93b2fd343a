"""`threadweaver serve` in a process of its own: the real vLLM on a CPU, and a tiny model that forks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.forking_model import QUESTIONS
from tests.support.light_processes import LIGHT
from tests.support.root import ROOT

__all__ = ["KEY", "MODES", "RealServer", "real_server", "serve_command"]

MODES = ("parallel", "autoregressive")
KEY = "sk-42"
ENGINE = {"max_model_len": 512, "dtype": "float32", "enforce_eager": True}

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


@dataclass(frozen=True)
class RealServer:
    """Up and answering.

    Attributes:
        rollouts: what `fork_join` makes of a question in a mode, greedily, on the server's own engine.
    """

    process: subprocess.Popen[str]
    url: str
    rollouts: dict[tuple[str, str], str]

    def metric(self, name: str) -> float:
        """Of ``/metrics``, without its prefix."""
        text = httpx.get(f"{self.url}/metrics", headers={"Authorization": f"Bearer {KEY}"}, timeout=60).text
        found = re.search(rf"^threadweaver_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1])


@contextmanager
def real_server(model: Path, *options: str) -> Iterator[RealServer]:
    """The command on the folder of a model of `tests.support.forking_model`, with a key; its log is in there.

    Args:
        options: further ones of `threadweaver serve`.
    """
    arguments = [f"--engine-arg={name}={str(value).lower()}" for name, value in ENGINE.items()]
    environment = {**LIGHT, "PYTHONPATH": str(ROOT), "THREADWEAVER_API_KEY": KEY}
    with serve_command(model, ["-c", SERVER], [*arguments, *options], environment) as (process, url, said):
        asked = [(question, mode) for question in QUESTIONS for mode in MODES]
        yield RealServer(process, url, dict(zip(asked, json.loads(said), strict=True)))


@contextmanager
def serve_command(
    model: Path, program: list[str], options: Sequence[str], environment: Mapping[str, str] = {}
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """`threadweaver serve` of a model as ``forking``, in a session of its own; its log is in the model's
    folder.

    Yields the process, its address, and what it printed before it said that.

    Args:
        program: what Python runs with the command's arguments.
    """
    command = ["serve", "--model", str(model), "--served-model-name", "forking", "--port", "0", *options]
    with (model / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *program, *command],
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            if found := re.search(r"serving forking at (http://127\.0\.0\.1:\d+)/v1", line):
                yield process, found[1], said
                return
            said += line
        raise AssertionError(said + (model / "log.txt").read_text()[-3000:])
    finally:
        process.terminate()
        process.wait(60)
