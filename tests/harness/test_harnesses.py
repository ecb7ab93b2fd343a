"""The official client, lm-eval and inspect-ai get right answers, decoded in the mode that each asks for."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.forking_model import save_forking
from tests.support.real_server import KEY, MODES, RealServer, real_server
from tests.support.root import ROOT

HERE = Path(__file__).parent
PYTHON = Path(os.environ.get("HARNESS", ROOT / ".venv" / "harness")).absolute() / "bin" / "python"
PROBLEMS = [json.loads(line) for line in (HERE / "problems.jsonl").read_text(encoding="utf-8").splitlines()]
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(not PYTHON.exists(), reason="no .venv/harness: make harness"),
]

Run = Callable[..., str]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(save_forking(tmp_path_factory.mktemp("forking"))) as server:
        yield server


@pytest.fixture
def run(up: RealServer, tmp_path: Path) -> Run:
    """Runs a command of the other environment against the server; what it printed."""

    def run(*command: str) -> str:
        with (tmp_path / "log.txt").open("w") as log:
            done = subprocess.run(
                [str(PYTHON), *command],
                cwd=HERE,
                env={
                    **os.environ,
                    "PYTHONPATH": "",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "HF_HOME": str(tmp_path / "hf"),
                    "HF_HUB_OFFLINE": "1",
                    "HF_DATASETS_OFFLINE": "1",
                    "OPENAI_BASE_URL": f"{up.url}/v1",
                    "OPENAI_API_KEY": KEY,
                    "THREADWEAVER_BASE_URL": f"{up.url}/v1",
                    "THREADWEAVER_API_KEY": KEY,
                },
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
        assert done.returncode == 0, (tmp_path / "log.txt").read_text()[-4000:] + done.stdout[-2000:]
        return done.stdout

    return run


@contextmanager
def decoded(up: RealServer, mode: str, answers: int) -> Iterator[None]:
    """So many answers inside, a fork in each of them in parallel mode and in none autoregressively."""
    before = up.metric("forks_total"), up.metric("answer_seconds_count")
    yield
    assert up.metric("answer_seconds_count") - before[1] == answers
    assert up.metric("forks_total") - before[0] == (answers if mode == "parallel" else 0)


@pytest.mark.parametrize("mode", MODES)
def test_the_official_client_whole_and_streamed(up: RealServer, run: Run, mode: str) -> None:
    with decoded(up, mode, 2 * len(PROBLEMS)):
        answers = json.loads(run("ask_openai.py", mode))
    assert answers == [[problem["answer"]] * 2 for problem in PROBLEMS]


@pytest.mark.parametrize("mode", MODES)
def test_lm_eval(up: RealServer, run: Run, mode: str, tmp_path: Path) -> None:
    address = f"model=forking,base_url={up.url}/v1/chat/completions,num_concurrent=4,max_retries=1"
    with decoded(up, mode, len(PROBLEMS)):
        run(
            *("-m", "lm_eval", "--model", "local-chat-completions", "--model_args", address),
            *("--tasks", "forking", "--include_path", ".", "--apply_chat_template"),
            *("--gen_kwargs", f"mode={mode}", "--output_path", str(tmp_path / "out")),
        )
    (file,) = (tmp_path / "out").rglob("results*.json")
    assert json.loads(file.read_text())["results"]["forking"]["exact_match,none"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_inspect(up: RealServer, run: Run, mode: str, tmp_path: Path) -> None:
    with decoded(up, mode, len(PROBLEMS)):
        run(
            *("-m", "inspect_ai", "eval", "inspect_task.py", "-T", f"mode={mode}"),
            *("--model", "openai-api/threadweaver/forking", "--display", "plain"),
            *("--log-dir", str(tmp_path / "out"), "--log-format", "json"),
        )
    (file,) = (tmp_path / "out").glob("*.json")
    (score,) = json.loads(file.read_text())["results"]["scores"]
    assert score["scored_samples"] == len(PROBLEMS) and score["metrics"]["mean"]["value"] == 1
