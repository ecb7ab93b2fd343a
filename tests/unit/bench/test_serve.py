"""`bench serve` asks both servers the same, and counts each one's own time; stand-ins in place of vLLM."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from transformers import Qwen3Config
from typer.testing import CliRunner

from tests.support.fakes import EOS
from tests.support.serving import TAGS, TOKENIZER, Talker, joined, running, served
from tw_plugins.bench import BenchError
from tw_plugins.bench import serve as bench
from tw_plugins.bench.serve import PLAIN, bench_serve
from tw_plugins.bench.serve.client import ask_all
from tw_plugins.bench.serve.processes import NAME, ServerProcess, _flag, _up
from tw_plugins.cli.app import app
from tw_plugins.serve.served import Defaults

QUESTIONS = [f"q{number}" for number in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without weights, and problems."""
    made = tmp_path_factory.mktemp("model")
    TOKENIZER.save_pretrained(made)
    Qwen3Config(vocab_size=len(TOKENIZER), max_position_embeddings=1000).save_pretrained(made)
    rows = [{"prompt": [{"role": "user", "content": one}], "answer": "1"} for one in QUESTIONS]
    (made / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


@pytest.fixture
def talkers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Talker]:
    """The engines of both servers, which run in this process."""
    made = {"vllms_own": Talker(), "ours": Talker()}

    def stand_in(name: str) -> Any:
        @contextmanager
        def up(model: str, engine_args: Any) -> Iterator[ServerProcess]:
            assert not engine_args["enable_prefix_caching"]
            plain = Defaults(mode="autoregressive" if name == "vllms_own" else "parallel")
            with running(served(made[name], name=NAME, defaults=plain)) as server:
                yield ServerProcess(server.url, psutil.Process())

        return up

    for name in made:
        monkeypatch.setattr(bench, name, stand_in(name))
    return made


def test_each_way_answers_the_same_problems(folder: Path, talkers: dict[str, Talker]) -> None:
    whole, streams = bench_serve(str(folder), folder / "problems.jsonl", 3, 900, [2], 2, lambda _: None)
    texts = [len(TAGS.encode(joined(question) + EOS)) for question in QUESTIONS]
    for figures in (whole, streams):
        plain, autoregressive, parallel = figures.ways.values()
        assert plain.tokens == autoregressive.tokens == sum(texts) / len(texts) > parallel.tokens
        assert plain.wall_clock.median == 1 and plain.orchestration is None
    # a warm-up, and two turns of three problems, whole and streamed; a fork of two threads is four requests
    assert len(talkers["vllms_own"].requests) == 1 + 2 * 2 * 3
    assert len(talkers["ours"].requests) == (1 + 4) * (1 + 2 * 2 * 3)


def test_the_table_and_its_file(folder: Path, talkers: dict[str, Talker], tmp_path: Path) -> None:
    arguments = ["--model", str(folder), "--data", str(folder / "problems.jsonl"), "--problems", "2"]
    options = ["--batch", "2", "--repeats", "1", "--json", str(tmp_path / "figures.json")]
    result = CliRunner().invoke(app, ["bench", "serve", *arguments, *options])
    assert result.exit_code == 0, result.output
    for shown in (PLAIN, "autoregressive", "parallel", "orchestration", "streams", "2 problems, greedy"):
        assert shown in result.output
    written = json.loads((tmp_path / "figures.json").read_text())
    assert [figures["stream"] for figures in written["figures"]] == [False, True]


def test_a_servers_own_time_is_apart_from_its_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        def __init__(self, seconds: float, *children: Process) -> None:
            self._seconds, self._children = seconds, children

        def cpu_times(self) -> Any:
            return type("Times", (), {"user": self._seconds, "system": 0.5})

        def children(self, recursive: bool) -> Any:
            assert recursive
            return self._children

    server = ServerProcess("http://localhost:1", Process(1.0, Process(10.0), Process(2.0)))  # type: ignore[arg-type]
    assert server.cpu_s() == (1.5, 13.0)


def test_a_server_that_does_not_start_says_why() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such\\nmodel')"]
    with pytest.raises(BenchError, match=r"^it ended with status 1: … no such model"), _up("it", command):
        pass


async def test_a_request_that_is_refused_is_an_error_and_no_figure() -> None:
    with (
        running(served(Talker(), name=NAME)) as server,
        pytest.raises(BenchError, match=r"answered 400: .*max_tokens"),
    ):
        await ask_all(server.url, [[5]], 1, {"max_tokens": 0})


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("enforce_eager", True, "--enforce-eager"),
        ("enable_prefix_caching", False, "--no-enable-prefix-caching"),
        ("max_model_len", 512, "--max-model-len=512"),
    ],
)
def test_arguments_as_vllms_command_line_has_them(name: str, value: Any, flag: str) -> None:
    assert _flag(name, value) == flag
