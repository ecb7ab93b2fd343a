"""Engines: the HTTP one against a real little server, the vLLM one against real vLLM."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes import char_tokenizer, control_tokens
from tests.support.messages import assert_message
from tests.support.servers import BREAK_OFF, HANG_UP, Server, choice
from tw_plugins.engines import OpenAICompatibleEngine, VLLMEngine, http
from tw_plugins.engines.choice import quiet_vllm
from tw_plugins.evaluation.clock.pairs import Pair, Side, time_pairs
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.rollout import Completion, EngineError, Limits, fork_join

TAGS = control_tokens()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of the engine, in seconds; none is really made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(http.asyncio, "sleep", sleep)
    return made


def ask(url: str, prompt: list[int] | None = None, max_tokens: int = 9, **options: Any) -> Completion:
    async def go() -> Completion:
        async with OpenAICompatibleEngine(url, "m", **options) as engine:
            return await engine.generate(
                prompt or [5, 6], stop_token_ids=[7], max_tokens=max_tokens, request_id="r1"
            )

    return asyncio.run(go())


def test_request_and_answer(server: Server) -> None:
    logprobs = {"token_logprobs": [-0.5, -1.5], "tokens": ["a", "b"]}
    server.answer = lambda body: (200, choice([3, 7], logprobs=logprobs))
    completion = ask(server.url + "/", temperature=0.7, top_p=0.9, api_key="key", extra_body={"top_k": 20})
    assert completion == Completion([3, 7], [-0.5, -1.5], "stop")
    [(path, headers, body)] = server.seen
    assert path == "/v1/completions"
    assert (headers["Authorization"], headers["X-Request-Id"]) == ("Bearer key", "r1")
    assert {"prompt": [5, 6], "stop_token_ids": [7], "max_tokens": 9, "model": "m"}.items() <= body.items()
    assert {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "return_token_ids": True}.items() <= body.items()
    assert "seed" not in body


@pytest.mark.parametrize(("given", "kept"), [("length", "length"), ("abort", "abort"), (None, "abort")])
def test_finish_reasons(server: Server, given: str | None, kept: str) -> None:
    server.answer = lambda body: (200, choice([1], given))
    assert ask(server.url) == Completion([1], None, kept)  # type: ignore[arg-type]


def test_a_full_context_is_a_length(server: Server) -> None:
    ask(server.url, prompt=[1] * 60, max_model_len=64)
    assert server.seen[0][2]["max_tokens"] == 4
    assert ask(server.url, prompt=[1] * 64, max_model_len=64) == Completion([], [], "length")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (400, '{"message": "max_tokens is too large"}', "answered HTTP 400: .*max_tokens is too large"),
        (500, "boom", "answered HTTP 500: boom"),
        (200, "<html>", "did not answer with JSON: '<html>'"),
        (200, {"choices": []}, "answered without choices"),
        (200, choice(None), "returned no token_ids.*return_token_ids"),
        (200, choice([1], "error"), "reports an internal error"),
    ],
)
def test_bad_answers_say_what_to_do(
    server: Server, pauses: list[float], status: int, content: Any, message: str
) -> None:
    server.answer = lambda body: (status, content)
    with pytest.raises(EngineError, match=message) as caught:
        ask(server.url)
    assert server.url in str(caught.value)


def test_a_refused_connection_names_the_address() -> None:
    probe = Server()
    probe.server_close()
    with pytest.raises(EngineError) as error:
        ask(probe.url, retries=0)
    assert_message(error.value, rf"cannot reach {probe.url}/completions .ConnectError .*Is the server up")


def test_a_slow_server_is_a_time_out(server: Server) -> None:
    release = threading.Event()
    server.answer = lambda body: (release.wait(30), (200, choice([1])))[1]
    with pytest.raises(EngineError, match="did not answer in time"):
        ask(server.url, timeout=0.2, retries=0)
    release.set()


def test_a_lost_connection_is_made_again(server: Server, pauses: list[float]) -> None:
    answers = iter([(HANG_UP, ""), (BREAK_OFF, choice([4])), (503, "wait"), (200, choice([3]))])
    server.answer = lambda body: next(answers)
    assert ask(server.url).token_ids == [3] and pauses == [1, 2, 4]


def test_a_server_that_always_hangs_up_is_named(server: Server, pauses: list[float]) -> None:
    server.answer = lambda body: (HANG_UP, "")
    with pytest.raises(EngineError) as error:
        ask(server.url, retries=2)
    assert_message(error.value, "cannot reach .*RemoteProtocolError .*Is the server up")
    assert len(server.seen) == 3 and pauses == [1, 2]


def test_a_time_out_is_tried_again(server: Server, pauses: list[float]) -> None:
    release, waits = threading.Event(), [30, 0]
    server.answer = lambda body: (release.wait(waits.pop(0)), (200, choice([3])))[1]
    assert ask(server.url, timeout=0.5).token_ids == [3] and len(server.seen) == 2
    release.set()


def test_the_server_says_how_long_to_wait(server: Server, pauses: list[float]) -> None:
    answers = iter([(429, ""), (200, choice([3]))] * 2)
    server.answer = lambda body: next(answers)
    server.headers = {"Retry-After": "120"}
    assert ask(server.url).token_ids == [3] and pauses == [120]
    server.headers = {"Retry-After": "3600"}
    with pytest.raises(EngineError) as error:
        ask(server.url)
    assert_message(error.value, r"asks to wait 3600 s \(Retry-After\), more than 600: run the same command")
    assert pauses == [120]


@pytest.mark.parametrize("url", ["localhost:8000/v1", "http://host:port/v1"])
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(EngineError) as error:
        ask(url)
    assert_message(error.value, "is no address: .*Give base_url with http://")


def test_fork_join_over_http(server: Server) -> None:
    fork = "<Parallel><Outlines><Outline>1: x</Outline><Outline>2: y</Outline></Outlines>"

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        prompt = TAGS.decode(body["prompt"])
        if TAGS.thread_end in body["stop_token_ids"]:
            return 200, choice(TAGS.encode(f" t{prompt[-2]}</Thread>"))
        return 200, choice(TAGS.encode("</Parallel><|im_end|>" if "</Thread>" in prompt else fork))

    async def go() -> str:
        async with OpenAICompatibleEngine(server.url, "m") as engine:
            rollout = await fork_join(engine, TAGS.encode("Q"), TAGS, Limits(), request_id="tr")
        return TAGS.decode(rollout.response_ids)

    server.answer = answer
    joined = "\n<Thread>\n1: t1</Thread><Thread>\n2: t2</Thread>\n"
    assert asyncio.run(go()) == f"{fork}{joined}</Parallel><|im_end|>"
    assert {headers["X-Request-Id"] for _, headers, _ in server.seen} == {"tr"}


def test_vllm_missing_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EngineError, match=r"needs vLLM \(pip install vllm"):
        VLLMEngine("nowhere")


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_an_unknown_engine_argument_is_named() -> None:
    with pytest.raises(EngineError) as error:
        VLLMEngine("nowhere", nonsense=1, dtype="float32")
    assert_message(error.value, "vLLM has no engine argument nonsense: see the fields of AsyncEngineArgs")


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


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_real_vllm(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ids, log-probs, limits and errors of the real engine; log-probs against the model itself."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
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
        grown = [completion async for completion in engine.stream([5, 6], **asked)]
        lengths = [len(completion.token_ids) for completion in grown]
        assert lengths == sorted(set(lengths)) and grown[-1].finish_reason in ("stop", "length")
        assert grown[0].token_ids == grown[-1].token_ids[: lengths[0]]
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


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_two_engines_count_their_own_cache_hits_and_are_timed_without_any(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
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


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_requests_wait_for_room_in_the_kv_cache(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine blocks for sixteen contexts of up to four: the same ids as one at a time."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
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
