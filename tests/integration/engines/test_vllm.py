"""The real vLLM in this process: ids, log-probs, limits, cache hits, room."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes import char_tokenizer, control_tokens
from tw_plugins.engines import VLLMEngine
from tw_plugins.engines.choice import quiet_vllm
from tw_plugins.engines.sampling import Sampling
from tw_plugins.evaluation.clock.pairs import Pair, Side, time_pairs
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.rollout import Completion, EngineError, Limits, fork_join

TAGS = control_tokens()


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 with two layers over the character tokenizer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = char_tokenizer()
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 32}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256}
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": None, "pad_token_id": 0}
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=len(tokenizer), initializer_range=0.1, **sizes, **heads, **ends)
    model = Qwen3ForCausalLM(config)
    folder = tmp_path_factory.mktemp("qwen3")
    model.to(torch.float32).save_pretrained(folder)
    return folder


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_real_vllm(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ids, log-probs, limits and errors of the real engine; log-probs against the model itself."""
    for name in ("VLLM_LOGGING_LEVEL", "TORCH_CPP_LOG_LEVEL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    quiet_vllm()
    options = {"max_model_len": 128, "seed": 1, "dtype": "float32", "enforce_eager": True}

    async def go(engine: VLLMEngine) -> tuple[Completion, Completion, Completion, Any]:
        every = range(3, 100)
        stopped = await engine.generate([5, 6], stop_token_ids=[*every], max_tokens=50, request_id="a")
        cut, again = await asyncio.gather(
            *(engine.generate([5, 6], stop_token_ids=[], max_tokens=20, request_id="a") for _ in range(2))
        )
        full = await engine.generate([5] * 128, stop_token_ids=[], max_tokens=20, request_id="b")
        assert len({tuple(cut.token_ids), tuple(again.token_ids)}) == 2  # siblings do not share a seed
        asked = {"stop_token_ids": [], "max_tokens": 20, "request_id": "c"}
        greedy = engine.with_sampling(Sampling(temperature=0))
        pieces = [piece async for piece in greedy.stream([5, 6], **asked)]
        assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
        whole = await greedy.generate([5, 6], **asked)
        assert [token for piece in pieces for token in piece.token_ids] == whole.token_ids
        assert pieces[-1].finish_reason == whole.finish_reason and len(pieces) > 1
        limits = Limits(max_tokens=300, answer_reserve=10)
        return stopped, cut, full, await fork_join(engine, [5, 6], TAGS, limits)

    with VLLMEngine(str(tiny_model), temperature=0.8, **options) as engine:
        stopped, cut, full, rollout = asyncio.run(go(engine))
        with pytest.raises(EngineError, match="another event loop"):
            asyncio.run(go(engine))
    printed = "".join(capfd.readouterr())
    assert "Loading safetensors" not in printed and "NUMA binding" not in printed
    assert stopped.finish_reason == "stop"
    assert 3 <= stopped.token_ids[-1] < 100
    assert full == Completion([], [], "length")
    assert cut.logprobs == pytest.approx(_logprobs(tiny_model, [5, 6], list(cut.token_ids), 0.8), abs=1e-4)
    assert 2 + len(rollout.response_ids) <= 128
    assert all(len(call.completion.logprobs) == len(call.completion.token_ids) for call in rollout.calls)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_two_engines_count_their_own_cache_hits_and_are_timed_without_any(tiny_model: Path) -> None:
    options = {"max_model_len": 128, "dtype": "float32", "enforce_eager": True, "block_size": 32}
    options |= {"temperature": 0.0}
    prompt = [*range(3, 73)]  # two blocks and six tokens
    limits = Limits(max_tokens=40, answer_reserve=10)
    problem = EvalProblem(0, "all", "", prompt, "7")
    pairs: list[Pair] = []

    async def ask(engine: VLLMEngine, times: int) -> None:
        for _ in range(times):
            await engine.generate(prompt, stop_token_ids=[], max_tokens=2, request_id="a")

    async def go(first: VLLMEngine, second: VLLMEngine) -> None:
        await ask(first, 3)
        await ask(second, 2)
        counted.extend(engine.prefix_cache_hits() for engine in (first, second))
        sides = [Side(engine, TAGS, limits, "autoregressive", {0: prompt}) for engine in (first, second)]
        await time_pairs(sides[0], sides[1], [problem] * 2, [problem], pairs.append)

    counted: list[int] = []
    counting = {**options, "disable_log_stats": False}
    with VLLMEngine(str(tiny_model), **counting) as first, VLLMEngine(str(tiny_model), **counting) as second:
        asyncio.run(go(first, second))
        assert counted == [2 * 64, 64]
        assert [first.prefix_cache_hits(), second.prefix_cache_hits()] == counted
    assert [pair.first for pair in pairs] == ["own", "baseline"]
    for pair in pairs:  # the same model in the same mode, greedily
        assert (pair.own.total, pair.own.longest) == (pair.baseline.total, pair.baseline.longest)
        assert pair.own.total > 0 < pair.own.seconds and 0.1 < pair.baseline.seconds / pair.own.seconds < 10


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_requests_wait_for_room_in_the_kv_cache(tiny_model: Path) -> None:
    """Nine blocks for sixteen contexts of up to four: the same ids as one at a time."""
    blocks = {"block_size": 32, "num_gpu_blocks_override": 9, "enable_prefix_caching": False}
    options = {"max_model_len": 128, "temperature": 0.0, "dtype": "float32", "enforce_eager": True}

    async def go(engine: VLLMEngine) -> tuple[list[list[int]], list[list[int]]]:
        async def ask(number: int) -> list[int]:
            found = await engine.generate([3 + number], stop_token_ids=[], max_tokens=100, request_id="a")
            assert found.finish_reason in ("stop", "length")
            return list(found.token_ids)

        together = await asyncio.gather(*map(ask, range(16)))
        return together, [await ask(number) for number in range(16)]

    with VLLMEngine(str(tiny_model), **options, **blocks) as engine:
        together, alone = asyncio.run(go(engine))
    assert sum(map(len, alone)) > 2 * 9 * 32
    assert together == alone


def _logprobs(folder: Path, prompt: list[int], ids: list[int], temperature: float) -> list[float]:
    """Log-probs of ``ids`` after ``prompt`` by one plain forward pass."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1] / temperature
    return logits.log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)].tolist()
