"""Ids and log-probs in a server's answer, as a completion: looked at before anything is made of them."""

from __future__ import annotations

import reprlib
import sys
from typing import Any

from tw_plugins.engines.request import finish_reason_of
from tw_plugins.rollout import Completion, EngineError

__all__ = ["checked_completion"]

_MOST_IDS = 2**31  # of any vocabulary


def checked_completion(
    ids: Any, logprobs: Any, reason: Any, where: str, vocab_size: int | None
) -> Completion:
    """A completion of what a server's JSON holds.

    Args:
        where: the server's address.
        vocab_size: ids are smaller; None where that is not known.

    Raises:
        EngineError: ids, log-probs or the finish reason are none, or do not belong together.
    """
    if (
        fault := _of_ids(ids, vocab_size or _MOST_IDS)
        or _of_logprobs(logprobs, len(ids))
        or _of_reason(reason)
    ):
        raise EngineError(f"{where} answered with {fault}: see whether base_url and --server fit the server")
    return Completion(ids, logprobs, finish_reason_of(reason, where))


def _of_ids(ids: Any, vocabulary: int) -> str:
    if not isinstance(ids, list):
        return f"a {type(ids).__name__} where a list of token ids must be"
    odd = next((one for one in ids if type(one) is not int or not 0 <= one < vocabulary), None)
    if odd is None and None not in ids:
        return ""
    return f"{reprlib.repr(odd)} among its token ids, which must be whole numbers from 0 to {vocabulary - 1}"


def _of_logprobs(logprobs: Any, count: int) -> str:
    if logprobs is None:
        return ""
    if not isinstance(logprobs, list):
        return f"a {type(logprobs).__name__} where a list of log-probs must be"
    for one in logprobs:
        if type(one) not in (int, float) or not abs(one) <= sys.float_info.max:  # NaN is not
            return f"{reprlib.repr(one)} among its log-probs, which must be finite numbers"
    if len(logprobs) == count:
        return ""
    return f"{len(logprobs)} log-probs for {count} token ids, of which each must have one"


def _of_reason(reason: Any) -> str:
    return (
        "" if reason is None or isinstance(reason, str) else f"a finish reason that is {reprlib.repr(reason)}"
    )
