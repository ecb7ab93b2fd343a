"""verl's LLM server client as an `Engine` of the state machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError

from tw_plugins.rollout import Completion, EngineError


class ServerEngine:
    """One request of the state machine = one `generate` of verl's client (`workers/rollout/llm_server.py`).

    The client is sticky per request id, so the threads of a trajectory reach the replica that holds their
    prefix. In `colocate_async` the client resumes an interrupted request by itself; the weight versions it
    reports, first and last, are kept with the completion.
    """

    def __init__(self, client: Any, sampling_params: dict[str, Any]) -> None:
        self._client = client
        self._sampling_params = sampling_params

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """Decode at most `max_tokens` tokens after `prompt_ids`; see `tw_plugins.rollout.Engine`.

        Raises:
            EngineError: the server died, or failed on the request.
        """
        how = {"max_tokens": max_tokens, "stop_token_ids": list(stop_token_ids)}
        try:
            output = await self._client.generate(
                request_id=request_id,
                prompt_ids=list(prompt_ids),
                sampling_params={**self._sampling_params, **how},
            )
        except RayError as error:
            raise EngineError(
                f"verl's LLM server died or failed on a request of trajectory {request_id} "
                f"({type(error).__name__}); its log says why"
            ) from error
        token_ids = list(output.token_ids)
        return Completion(
            token_ids=token_ids,
            logprobs=list(output.log_probs) if output.log_probs else None,
            finish_reason=_finish_reason(output.stop_reason, token_ids, stop_token_ids, max_tokens),
            weight_version=_versions(output.extra_fields),
        )


def _finish_reason(reported: str | None, token_ids: list[int], stops: Sequence[int], max_tokens: int) -> Any:
    """Read from the token ids wherever they say it, because engines name their stop reasons differently."""
    if token_ids and token_ids[-1] in set(stops):
        return "stop"
    if reported in ("abort", "aborted"):
        return "abort"
    return "length" if len(token_ids) >= max_tokens else "stop"


def _versions(extra_fields: dict[str, Any]) -> tuple[int, int] | None:
    """(first, last) weight version of a request, or None where the server does not say."""
    first, last = extra_fields.get("min_global_steps"), extra_fields.get("max_global_steps")
    return None if first is None or last is None else (int(first), int(last))
