"""The shared trajectories (`tests.support.same_on_both`) as OpenRLHF's experience, one step's worth."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import torch
from openrlhf.trainer.ppo_utils.experience import Experience
from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker
from vllm import SamplingParams

from openrlhf_ext.agent import AgentExecutor
from openrlhf_ext.arguments import UPSTREAM_ESTIMATOR
from tests.support.fakes import ScriptedEngine
from tests.support.openrlhf.actors import FakeActor
from tests.support.openrlhf.models import TAGS, TOKENIZER, generator
from tests.support.same_on_both import MAX_TOKENS, TRAJECTORIES


def shared_samples() -> list[Experience]:
    """What SamplesGenerator makes of the executor's answers."""
    params = SamplingParams(temperature=1.0, max_tokens=MAX_TOKENS, min_tokens=1)
    made = []
    for trajectory in TRAJECTORIES:
        found = asyncio.run(
            AgentExecutor().execute(
                trajectory.prompt,
                trajectory.label,
                params,
                2 * MAX_TOKENS,
                TOKENIZER,
                FakeActor(ScriptedEngine.from_texts(TAGS, *trajectory.replies)),
            )
        )
        made.append(generator()._process_response_into_experience(found, max_len=2 * MAX_TOKENS))
    return made


def with_advantages(samples: list[Experience], micro_batch: int = 3) -> list[Experience]:
    """Batched, with advantages, by upstream's experience maker."""
    args = SimpleNamespace(
        algo=SimpleNamespace(advantage=SimpleNamespace(estimator=UPSTREAM_ESTIMATOR, gamma=1.0)),
        rollout=SimpleNamespace(n_samples_per_prompt=4, micro_batch_size=micro_batch),
        train=SimpleNamespace(dynamic_batch_enable=False),
        reward=SimpleNamespace(
            clip_range=(-10, 10), overlong_buffer_len=None, stop_properly_penalty_coef=None
        ),
    )
    maker = RemoteExperienceMaker(
        None, None, None, None, SimpleNamespace(value=0.0), SimpleNamespace(args=args), TOKENIZER
    )
    batches: list[Experience] = maker.split_rollout_samples(samples)
    for batch in batches:
        batch.kl = torch.zeros_like(batch.action_mask, dtype=torch.float32)
    return maker.compute_advantages_and_returns(batches)  # type: ignore[no-any-return]
