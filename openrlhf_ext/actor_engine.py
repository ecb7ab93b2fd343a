"""OpenRLHF's rollout actor as an `Engine` of the state machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openrlhf_ext.watch import ENGINE_DIED
from openrlhf_ext.weights_version import weights_version
from tw_plugins.engines.request import completion_of, request_params, room_for
from tw_plugins.rollout import Completion, EngineError


class RolloutActorEngine:
    """One request of the state machine = one `RolloutRayActor.generate` (`trainer/ray/vllm_engine.py`).

    All requests of a trajectory go to the same engine, whose prefix cache is by content: upstream's fresh
    request id per call costs nothing.
    """

    def __init__(self, actor: Any, sampling_params: Any, max_model_len: int) -> None:
        """
        Args:
            sampling_params: upstream's; temperature, top-p and top-k are kept.
            max_model_len: prompt + response, `--data.max_len`.
        """
        self._actor, self._base, self._max_model_len = actor, sampling_params, max_model_len
        self.versions: set[int] = set()
        """Of the weights that the calls were decoded by; one that was paused for new ones has both."""

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """Decode at most `max_tokens` tokens after `prompt_ids`; see `tw_plugins.rollout.Engine`.

        Raises:
            EngineError: vLLM died, reports an error, or ends the request without an output.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        room = room_for(prompt_ids, max_tokens, self._max_model_len)
        if room < 1:
            return Completion([], None, "length")
        base = self._base
        params = request_params(
            stop_token_ids=stop_token_ids,
            max_tokens=room,
            temperature=base.temperature,
            top_p=base.top_p,
            top_k=base.top_k,
        )
        self.versions.add(weights_version(self._actor))
        try:
            output = await self._actor.generate(list(prompt_ids), params)
        except EngineDeadError as error:
            raise EngineError(ENGINE_DIED) from error
        self.versions.add(weights_version(self._actor))
        if output is None:
            raise EngineError(f"vLLM ended a request of trajectory {request_id} without an output")
        return completion_of(output)
