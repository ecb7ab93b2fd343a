"""A rollout actor over an engine of the core's tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from vllm import SamplingParams

from tw_plugins.rollout import Completion


class FakeActor:
    """`RolloutRayActor.generate` over an engine of the core's tests."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.params: list[SamplingParams] = []

    async def generate(
        self, prompt_token_ids: list[int], sampling_params: Any, multi_modal_data: Any = None
    ) -> Any:
        self.params.append(sampling_params)
        completion: Completion = await self.engine.generate(
            prompt_token_ids,
            stop_token_ids=sampling_params.stop_token_ids,
            max_tokens=sampling_params.max_tokens,
            request_id="",
        )
        logprobs = [
            {token: SimpleNamespace(logprob=value)}
            for token, value in zip(completion.token_ids, completion.logprobs or [], strict=True)
        ]
        output = SimpleNamespace(
            token_ids=completion.token_ids, logprobs=logprobs, finish_reason=completion.finish_reason
        )
        return SimpleNamespace(outputs=[output])
