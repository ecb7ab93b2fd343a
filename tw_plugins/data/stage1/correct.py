"""Only right answers: a trace known to be wrong is not worth a request, nor a place in the data set."""

from __future__ import annotations

import asyncio
from typing import Any

from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.grading import extract_answer, is_equivalent

__all__ = ["check_answer"]


async def check_answer(response: str, wanted: Any) -> None:
    r"""Passes a response with an answer in ``\boxed{…}``, the right one where it is known.

    Args:
        wanted: the right answer; None where it is not known.

    Raises:
        Rejected: `no_answer` or `wrong_answer`.
    """
    found = extract_answer(response)
    if found is None:
        raise Rejected("no_answer", "no \\boxed{…} follows the reasoning")
    if wanted is not None and not await asyncio.to_thread(is_equivalent, found, str(wanted)):
        raise Rejected("wrong_answer", f"the answer is {found!r}, {wanted!r} is wanted")
