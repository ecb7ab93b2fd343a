"""SGLang's own endpoint, ``/generate``, for versions whose OpenAI-compatible one returns no token ids.

A recent SGLang has ``return_token_ids`` there (``CompletionRequest`` of ``entrypoints/openai/protocol.py``),
so `OpenAICompatibleEngine` serves. Both are tested against servers of these shapes; neither has run against a
real SGLang.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tw_plugins.engines.openai_compatible import OpenAICompatibleEngine
from tw_plugins.engines.request import room_for
from tw_plugins.rollout import Completion, EngineError

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


class SGLangEngine(OpenAICompatibleEngine):
    """As `OpenAICompatibleEngine`, with ``base_url`` up to the port, e.g. ``http://localhost:30000``."""

    PATH: ClassVar[str] = "/generate"
    STREAMS: ClassVar[bool] = False
    SEEDS: ClassVar[bool] = False

    def __init__(self, base_url: str, model: str, **settings: Any) -> None:
        address, mark, query = base_url.partition("?")
        super().__init__(f"{address.rstrip('/').removesuffix('/v1')}{mark}{query}", model, **settings)

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
        return self._read(await self._post(body, request_id))

    def _read(self, answer: Any) -> Completion:
        """The ids are those of the log-probs' entries, (log-prob, id, text or None).

        A stop token that is trimmed from ``output_ids`` is among them; any other difference is an error.
        """
        try:
            meta = answer["meta_info"]
            entries = [(entry[0], entry[1]) for entry in meta["output_token_logprobs"]]
            reason = meta["finish_reason"]["type"]
        except (KeyError, IndexError, TypeError) as error:
            raise EngineError(
                f"{self.url} answered without ids, their log-probs or a finish reason: check that it is "
                f"SGLang 0.4 or later. It begins: {self._server.excerpt(answer)}"
            ) from error
        ids = [token for _, token in entries]
        given = answer.get("output_ids") or ids
        if given != ids and not (reason == "stop" and given == ids[:-1]):
            raise EngineError(
                f"{self.url} answered with output_ids that are not those of its log-probs "
                f"({self._server.excerpt(given)}): check that it is SGLang 0.4 or later"
            )
        return self._completion(ids, [logprob for logprob, _ in entries], reason)
