"""The simulation's way of dealing out prompts against OpenRLHF's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from openrlhf.trainer.ppo_utils import samples_generator

from tw_plugins.planning.simulation.router import EvenRouter


class Engine:
    """Notes the prompts that it gets."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.get_num_unfinished_requests = SimpleNamespace(remote=lambda: 0)
        self.generate_responses = SimpleNamespace(remote=lambda **asked: self.prompts.append(asked["prompt"]))


def test_the_simulated_router_deals_out_as_openrlhf_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_generator, "ray", SimpleNamespace(get=lambda given: given))
    theirs: Any = object.__new__(samples_generator.SamplesGenerator)
    theirs.vllm_engines, theirs.tokenizer = [Engine() for _ in range(3)], None
    advantage = SimpleNamespace(is_correction_level="off")
    theirs.args = SimpleNamespace(
        rollout=SimpleNamespace(n_samples_per_prompt=8, max_new_tokens=1),
        algo=SimpleNamespace(advantage=advantage),
    )
    prompts = list(map(str, range(8)))
    theirs._dispatch_prompts_to_vllm(prompts, prompts)
    ours = EvenRouter(3)
    places = [ours.acquire(prompt) for prompt in prompts]
    for place, engine in enumerate(theirs.vllm_engines):
        assert engine.prompts == [prompt for prompt, at in zip(prompts, places, strict=True) if at == place]
