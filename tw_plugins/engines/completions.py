"""Ids and log-probs in a server's answer, as a completion: looked at before anything is made of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tw_plugins.engines.endings import ending_of
from tw_plugins.rollout import Completion, EngineError

__all__ = ["checked_completion"]

_MOST_IDS = 2**31  # of any vocabulary
_ROUNDING = 0.01  # of a log-prob near 0, in bfloat16


def checked_completion(
    ids: Any, logprobs: Any, reason: Any, where: str, vocab_size: int | None, show: Callable[[object], str]
) -> Completion:
    """A completion of what a server's JSON holds.

    Args:
        where: the server's address.
        vocab_size: ids are smaller; None where that is not known.
        show: a value of the server's as it may be shown.

    Raises:
        EngineError: ids, log-probs or the finish reason are none, or do not belong together; the answer did
            not end by itself or at its length.
    """
    faults = (
        _of_ids(ids, vocab_size or _MOST_IDS, show),
        _of_logprobs(logprobs, len(ids) if isinstance(ids, list) else 0, show),
    )
    if fault := next(filter(None, faults), ""):
        raise EngineError(f"{where} answered with {fault}: see whether base_url and --server fit the server")
    ending = ending_of(reason)
    if ending not in ("stop", "length"):
        raise EngineError(
            f"{where} did not end its answer by itself or at its length (finish_reason {show(reason)}), so "
            "it is none of the model: see the server's log and its filters"
        )
    return Completion(ids, logprobs, ending)


def _of_ids(ids: Any, vocabulary: int, show: Callable[[object], str]) -> str:
    if not isinstance(ids, list):
        return f"a {type(ids).__name__} where a list of token ids must be"
    for one in ids:
        if type(one) is not int or not 0 <= one < vocabulary:
            return f"{show(one)} among its token ids, which must be whole numbers from 0 to {vocabulary - 1}"
    return ""


def _of_logprobs(logprobs: Any, count: int, show: Callable[[object], str]) -> str:
    if logprobs is None:
        return ""
    if not isinstance(logprobs, list):
        return f"a {type(logprobs).__name__} where a list of log-probs must be"
    for one in logprobs:
        if type(one) not in (int, float) or not abs(one) <= sys.float_info.max:  # NaN is not
            return f"{show(one)} among its log-probs, which must be finite numbers"
        if one > _ROUNDING:
            return f"{show(one)} among its log-probs, none of which can be above 0"
    if len(logprobs) == count:
        return ""
    return f"{len(logprobs)} log-probs for {count} token ids, of which each must have one"
