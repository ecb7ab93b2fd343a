"""Stage 1 and `eval run` against vLLM's own server, with a tiny model that answers rubbish."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.ranks import free_port
from tests.support.stage1_server import traces
from tests.support.vllm_server import vllm_server
from tw_plugins.cli.app import app
from tw_plugins.data.stage1.runs import finished
from tw_plugins.engines import OpenAICompatibleEngine
from tw_plugins.evaluation.records import read_records
from tw_plugins.trajectory import TAGS

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("verl") is None, reason="once is enough: in verl's environment"
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 with a tokenizer of bytes, which takes any text."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": [*TAGS, "<think>", "</think>"]})
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=32, max_position_embeddings=8192,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("qwen3")
    Qwen3ForCausalLM(config).to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(model: Path) -> Iterator[str]:
    port = free_port()
    with vllm_server(model, port, "tiny"):
        yield f"http://127.0.0.1:{port}/v1"


def test_rubbish_is_rejected_with_its_reason(url: str, tmp_path: Path) -> None:
    source = tmp_path / "traces.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in traces(2)))
    options = ["--base-url", url, "--model", "tiny", "--max-tokens", "24", "--attempts", "2"]
    result = CliRunner().invoke(
        app, ["data", "stage1", str(source), "--out", str(tmp_path / "out"), *options]
    )
    assert result.exit_code == 1, result.output  # nothing is left
    records = finished(tmp_path / "out" / "1-structure.jsonl")
    assert {key: record["reason"] for key, record in records.items()} == {
        "p0": "answer_cut",
        "p1": "answer_cut",
    }
    assert "4 requests" in result.output and "96 out" in result.output


async def test_a_stream_is_the_completion(url: str) -> None:
    """Ids and log-probs come with each event."""
    asked = {"stop_token_ids": [3], "max_tokens": 30, "request_id": "r"}
    async with OpenAICompatibleEngine(url, "tiny", temperature=0.0) as engine:
        whole = await engine.generate([5, 6, 7], **asked)
        pieces = [piece async for piece in engine.stream([5, 6, 7], **asked)]
    assert [token for piece in pieces for token in piece.token_ids] == whole.token_ids
    logprobs = [logprob for piece in pieces for logprob in piece.logprobs or []]
    assert logprobs == pytest.approx(whole.logprobs, abs=1e-4)
    assert len(pieces) > 1 and pieces[-1].finish_reason == whole.finish_reason
    assert {piece.finish_reason for piece in pieces[:-1]} == {None}


def test_an_evaluation_on_the_server(url: str, model: Path, tmp_path: Path) -> None:
    """Ids come back from a real server, k samples of each problem."""
    data = tmp_path / "problems.jsonl"
    data.write_text(
        "".join(json.dumps({"problem": f"{n}+1?", "answer": str(n + 1)}) + "\n" for n in range(2))
    )
    arguments = ["--model", str(model), "--served-model-name", "tiny", "--base-url", url, "--data", str(data)]
    options = ["--samples", "2", "--temperature", "1", "--max-tokens", "40", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["eval", "run", *arguments, *options])
    assert result.exit_code == 0, result.output
    records = read_records(tmp_path / "out" / "parallel.jsonl")
    assert [record.index for record in records] == [0, 0, 1, 1]
    assert all(0 < record.total <= 40 for record in records)
    assert len({record.text for record in records}) == 4
