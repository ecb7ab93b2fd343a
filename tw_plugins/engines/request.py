"""What every engine needs for one request: room in the context, vLLM's parameters, what came back."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from tw_plugins.rollout import Completion, EngineError, FinishReason, Piece


def room_for(prompt_ids: Sequence[int], max_tokens: int, max_model_len: int | None) -> int:
    """Tokens that can be sampled: what was asked for, or what the context has left (0 or less: none)."""
    return max_tokens if max_model_len is None else min(max_tokens, max_model_len - len(prompt_ids))


def finish_reason_of(reported: str | None, engine: str) -> FinishReason:
    """ "stop" and "length" as they are, anything else is an "abort".

    Raises:
        EngineError: the engine reports "error".
    """
    if reported == "error":
        raise EngineError(f"{engine} reports an internal error for a request: see its log")
    return reported if reported in ("stop", "length") else "abort"  # type: ignore[return-value]


def request_seed(seed: int, request_id: str, prompt_ids: Sequence[int]) -> int:
    """A seed of one request alone, from 0 to 2⁶³ − 1: the same whoever answers it, and when.

    Siblings share the trajectory's id and differ in their prompts.

    Args:
        seed: of the run.
    """
    named = blake2b(f"{seed} {request_id} ".encode(), digest_size=8)
    named.update(array("q", prompt_ids).tobytes())
    return int.from_bytes(named.digest(), "little") >> 1


def request_params(
    *,
    stop_token_ids: Sequence[int],
    max_tokens: int,
    temperature: float,
    top_p: float = 1.0,
    top_k: int = -1,
    stream: bool = False,
    seed: int | None = None,
) -> Any:
    """vLLM's ``SamplingParams`` of one request: ids and log-probs, at the end or in pieces."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        max_tokens=max_tokens,
        seed=seed,
        stop_token_ids=list(stop_token_ids),
        ignore_eos=not stop_token_ids,  # asked for no stop, it samples all that was asked for
        logprobs=0,  # of the sampled id alone
        detokenize=False,
        output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
    )


def completion_of(output: Any) -> Completion:
    """vLLM's ``RequestOutput`` as a completion.

    Raises:
        EngineError: vLLM reports an error for the request.
    """
    ids, logprobs, reason = _read(output)
    return Completion(ids, logprobs, finish_reason_of(reason, "vLLM"))


def piece_of(output: Any) -> Piece:
    """The same of one that holds what is new; raises as that."""
    ids, logprobs, reason = _read(output)
    return Piece(ids, logprobs, None if reason is None else finish_reason_of(reason, "vLLM"))


def _read(output: Any) -> tuple[list[int], list[float] | None, str | None]:
    answer = output.outputs[0]
    ids = list(answer.token_ids)
    logprobs = None
    if answer.logprobs is not None:
        logprobs = [step[token].logprob for token, step in zip(ids, answer.logprobs, strict=True)]
    return ids, logprobs, answer.finish_reason
