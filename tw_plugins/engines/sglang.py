"""SGLang's own endpoint, ``/generate``, for versions whose OpenAI-compatible one returns no token ids.

A recent SGLang has ``return_token_ids`` there (``CompletionRequest`` of ``entrypoints/openai/protocol.py``),
so `OpenAICompatibleEngine` serves. Both are tested against servers of these shapes; neither has run against a
real SGLang.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tw_plugins.engines.http import OpenAICompatibleEngine
from tw_plugins.engines.request import finish_reason_of, room_for
from tw_plugins.rollout import Completion, EngineError

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


class SGLangEngine(OpenAICompatibleEngine):
    """As `OpenAICompatibleEngine`, with ``base_url`` up to the port, e.g. ``http://localhost:30000``."""

    def __init__(self, base_url: str, model: str, **settings: Any) -> None:
        super().__init__(base_url, model, **settings)
        self.url = f"{base_url.rstrip('/').removesuffix('/v1')}/generate"

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`; raises as `OpenAICompatibleEngine.generate` does."""
        room = room_for(prompt_ids, max_tokens, self.max_model_len)
        if room < 1:
            return Completion([], [], "length")
        sampling = {name: self._body[name] for name in _SAMPLING}
        sampling |= {"max_new_tokens": room, "stop_token_ids": list(stop_token_ids)}
        body = {"input_ids": list(prompt_ids), "sampling_params": sampling, "return_logprob": True}
        answer = await self._post(body, request_id)
        try:
            meta = answer["meta_info"]
            entries = meta["output_token_logprobs"]  # (log-prob, id, text or None)
            logprobs = [float(entry[0]) for entry in entries]
            ids = list(answer.get("output_ids") or [int(entry[1]) for entry in entries])
            reason = meta["finish_reason"]["type"]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(
                f"{self.url} answered without ids, their log-probs or a finish reason: check that it is "
                f"SGLang 0.4 or later. It begins: {str(answer)[:200]}"
            ) from error
        return Completion(ids, logprobs, finish_reason_of(reason, self.url))
