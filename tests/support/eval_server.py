"""A server that answers every problem alike, a model's folder, a file of problems, and `eval run` on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen3Config
from typer.testing import CliRunner

from tests.support.fakes import EOS, char_tokenizer, control_tokens
from tests.support.listening import listening
from tests.support.servers import Server, choice
from tw_plugins.cli.app import app

TAGS = control_tokens()
RIGHT = TAGS.encode(f"<think>\n</think>\\boxed{{7}}{EOS}")


@pytest.fixture
def server() -> Iterator[Server]:
    """Every answer is 7."""
    with listening(Server()) as server:
        server.answer = lambda body: (200, choice(RIGHT))
        yield server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = char_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    Qwen3Config(vocab_size=len(tokenizer), max_position_embeddings=512).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three problems; the answer to the first two is 7."""
    path = tmp_path / "problems.jsonl"
    rows = [{"problem": f"problem {n}", "answer": answer} for n, answer in enumerate("778")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(server: Server, model: Path, data: Path | str, out: Path, *options: str) -> Any:
    base = ["--model", str(model), "--data", str(data), "--out", str(out), "--base-url", server.url]
    return CliRunner().invoke(app, ["eval", "run", *base, "--mode", "parallel", *options])


def plain(result: Any) -> str:
    return " ".join(result.output.split())
