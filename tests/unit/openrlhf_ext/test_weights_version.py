"""Which weights decoded a trajectory: counted by engines and trainer alike, in the metrics of the step."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from openrlhf.trainer.ray import vllm_engine

from openrlhf_ext.actor_engine import RolloutActorEngine
from openrlhf_ext.weights_version import (
    NEWEST,
    OLDEST,
    count_hand_over,
    counted,
    staleness_of,
    weights_version,
)
from tests.support.fakes import ScriptedEngine
from tests.support.openrlhf.actors import FakeActor
from tw_plugins.adapter.seams import wrapped_by

PARAMS = SimpleNamespace(temperature=1.0, top_p=1.0, top_k=-1)


class UpdatedMeanwhile(FakeActor):
    """Gets new weights in its second call, which is paused for them."""

    async def generate(self, *args: Any, **kwargs: Any) -> Any:
        if self.params:
            count_hand_over(self)
        return await super().generate(*args, **kwargs)


def decode(engine: RolloutActorEngine) -> None:
    asyncio.run(engine.generate([1, 2], stop_token_ids=[7], max_tokens=9, request_id="a"))


def test_a_call_that_is_paused_for_new_weights_has_both() -> None:
    actor = UpdatedMeanwhile(ScriptedEngine([[5, 7], [6, 7], [6, 7]]))
    first, second = (RolloutActorEngine(actor, PARAMS, 100) for _ in range(2))
    decode(first)
    assert first.versions == {0}
    decode(first)
    decode(second)
    assert (first.versions, second.versions) == ({0, 1}, {1, 2})


def test_an_engine_counts_weights_that_are_whole() -> None:
    class Actor:
        @counted
        async def update_weight(self, name: str, dtype: str, shape: int, empty_cache: bool = False) -> str:
            return name

    actor = Actor()
    for name, last, version in (("a", False, 0), ("b", True, 1), ("a", False, 1), ("b", True, 2)):
        assert asyncio.run(actor.update_weight(name, dtype="f", shape=1, empty_cache=last)) == name
        assert weights_version(actor) == version


@pytest.mark.parametrize("method", ["update_weight", "update_weight_cuda_ipc"])
def test_upstreams_engines_count(method: str) -> None:
    actor = f"RolloutRayActor.__ray_metadata__.modified_class.{method}"
    assert wrapped_by("openrlhf_ext.weights_version", actor)(vllm_engine)


def sample(**info: int) -> Any:
    return SimpleNamespace(info={name: torch.tensor([value]) for name, value in info.items()})


def test_the_figures_of_a_step() -> None:
    found = staleness_of([sample(**{OLDEST: 1, NEWEST: 1}), sample(**{OLDEST: 0, NEWEST: 1})], 1)
    assert found == {
        "threadweaver/staleness/mean": 0.5,
        "threadweaver/staleness/max": 1.0,
        "threadweaver/staleness/mixed_versions": 0.5,
    }
    assert staleness_of([sample(reward=1)], 1) == {}
