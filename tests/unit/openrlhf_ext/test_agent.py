"""The executor: one trajectory → one dict that upstream turns into one `Experience`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from vllm import SamplingParams

from openrlhf_ext import agent, hooks
from openrlhf_ext.agent import AgentExecutor
from openrlhf_ext.experience import ROW_FIELD
from openrlhf_ext.row_codes import decode
from openrlhf_ext.settings import ENVIRONMENT, METRICS
from tests.support.fakes import EOS, ScriptedEngine, StoryEngine
from tests.support.openrlhf.actors import FakeActor
from tests.support.openrlhf.models import TAGS, TOKENIZER, generator
from tw_plugins.adapter.prompt import PromptTooLong
from tw_plugins.rollout import Completion, EngineError
from tw_plugins.trie import row_from_rollout

FORKED = (
    "<think>\n<Parallel>\n<Outlines>\n<Outline>1: a</Outline>\n<Outline>2: b</Outline>\n</Outlines>",
    " x\n</Thread>",
    " yyyy\n</Thread>",
    "</Parallel>\n</think>\\boxed{3}" + EOS,
)


UPSTREAM = SamplingParams(temperature=0.7, top_p=0.9, top_k=5, max_tokens=200, min_tokens=1)


def execute(actor: Any, executor: AgentExecutor | None = None, **changed: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "prompt": "2?", "label": "3", "max_length": 400, "sampling_params": UPSTREAM,
        "hf_tokenizer": TOKENIZER,
    }  # fmt: skip
    executor = executor or AgentExecutor()
    return asyncio.run(executor.execute(**{**arguments, **changed}, llm_engine=actor))


def scripted(*texts: str) -> FakeActor:
    return FakeActor(ScriptedEngine.from_texts(TAGS, *(texts or FORKED)))


def test_the_row_the_reward_and_the_logs() -> None:
    found = execute(scripted())
    total = sum(len(TAGS.encode(text)) for text in FORKED)
    longest = total - len(TAGS.encode(FORKED[1]))
    bonus = min(0.5 * (1 - longest / total), 0.2)
    assert found["reward"] == pytest.approx(1 + bonus) and found["scores"] == 1.0
    assert found["extra_logs"][f"{METRICS}/activation/mean"] == 1.0
    assert found["extra_logs"][f"{METRICS}/longest/mean"] == longest
    assert not found["truncated"]
    trained = sum(stop - start for start, stop in found["action_ranges"])
    assert trained == total


@pytest.mark.parametrize("seed", range(6))
def test_upstream_makes_an_experience_of_the_whole_row(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    kept = []
    make = row_from_rollout

    def keep(rollout: Any) -> Any:
        kept.append(make(rollout))
        return kept[0]

    monkeypatch.setattr(agent, "row_from_rollout", keep)
    found = execute(FakeActor(StoryEngine(seed, TAGS, eos_rate=0.3)), max_length=400)
    (row,) = kept
    experience = generator()._process_response_into_experience(found, max_len=len(row) - 1)
    assert experience.sequences[0].tolist() == row.input_ids
    assert decode(experience.attention_mask)[0].tolist() == row.position_ids
    assert experience.action_mask[0].tolist() == row.loss_mask[1:]
    assert experience.rollout_log_probs[0].tolist() == pytest.approx((row.logprobs or [])[1:])
    assert experience.total_length.item() == len(row)
    response = found[ROW_FIELD]["response_length"]
    assert experience.response_length.item() == response < len(row)


def test_a_row_that_was_cut_is_refused() -> None:
    found = execute(scripted())
    found["observation_tokens"] = found["observation_tokens"][:-1]
    with pytest.raises(ValueError, match=r"root and branches have \d+ tokens, the row"):
        generator()._process_response_into_experience(found, max_len=400)


def test_each_request_keeps_upstreams_sampling_and_has_its_own_stops() -> None:
    actor = scripted()
    execute(actor)
    assert {(p.temperature, p.top_p, p.top_k, p.min_tokens) for p in actor.params} == {(0.7, 0.9, 5, 0)}
    assert TAGS.outlines_end in actor.params[0].stop_token_ids
    assert TAGS.thread_end in actor.params[1].stop_token_ids
    assert all(p.logprobs == 0 for p in actor.params)


def test_autoregressive_is_one_request_without_bonus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, '{"mode": "autoregressive"}')
    whole = FORKED[0] + "\n<Thread>\n1: x\n</Thread><Thread>\n2: y\n</Thread>\n" + FORKED[3]
    actor = scripted(whole)
    found = execute(actor)
    assert len(actor.params) == 1 and found["reward"] == 1.0
    assert found[ROW_FIELD]["branches"] == []


def test_upstreams_own_command_trains_only_what_has_its_true_context(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "_installed", False)
    executor = AgentExecutor()
    (warning,) = caplog.messages
    assert "threads 2..n are rolled out and rewarded but not trained" in warning
    assert "python -m openrlhf_ext.train_ppo_ray" in warning
    found = execute(scripted(), executor)
    assert ROW_FIELD not in found
    trained = [found["observation_tokens"][start:stop] for start, stop in found["action_ranges"]]
    assert "".join(TAGS.decode(ids) for ids in trained) == FORKED[0] + FORKED[1] + FORKED[3]
    assert found["rollout_log_probs"] is None
    assert found["reward"] > 1
    execute(scripted(), executor)
    assert len(caplog.messages) == 1


def test_a_wrong_answer_earns_nothing() -> None:
    found = execute(scripted(), label="4")
    assert (found["reward"], found["scores"]) == (0.0, 0.0)


def test_a_prompt_without_room_is_named() -> None:
    with pytest.raises(
        PromptTooLong, match=r"2 tokens; --data.max_len 100 leaves 98 .* 200 are needed.*'2\?'"
    ):
        execute(scripted(), max_length=100)


def test_nothing_sampled_is_an_error() -> None:
    with pytest.raises(EngineError, match=r"sampled nothing after the prompt '2\?'"):
        execute(FakeActor(ScriptedEngine([Completion([], [], "abort")])))


def test_an_error_of_vllm_is_not_a_trajectory() -> None:
    with pytest.raises(EngineError, match="vLLM reports an internal error"):
        execute(FakeActor(ScriptedEngine([Completion([5], [-1.0], "error")])))  # type: ignore[arg-type]


def test_an_empty_label_names_the_flag() -> None:
    with pytest.raises(ValueError, match=r"--data\.label_key"):
        execute(scripted(), label="")


def test_images_are_refused() -> None:
    with pytest.raises(ValueError, match="max_images_per_prompt"):
        execute(scripted(), images=["x.png"])


def test_the_file_is_what_upstream_loads() -> None:
    from openrlhf.trainer.ray.vllm_engine import _load_agent_executor

    loaded = _load_agent_executor(str(Path(agent.__file__)))
    assert type(loaded).__name__ == "AgentExecutor"
