"""Only right answers: a trace known to be wrong is not worth a request, nor a place in the data set."""

from __future__ import annotations

import asyncio
from typing import Any

from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.data.stage1.traces import problem_of
from tw_plugins.grading import extract_answer
from tw_plugins.storage.jsonl import Record
from tw_plugins.verifiers import Task, VerifierSettings, verify
from tw_plugins.verifiers.names import MATH, shown

__all__ = ["check_answer"]


async def check_answer(record: Record, response: str, verifying: VerifierSettings) -> None:
    r"""Passes a response that is right, where the record's `answer` is known; of `math` one with a box.

    Raises:
        Rejected: `no_answer`, `wrong_answer`, or `verifier_failed`.
        VerifierError: the verifier cannot be used.
    """
    wanted = record.get("answer")
    if verifying.verifier == MATH and extract_answer(response, verifying.answer_line) is None:
        raise Rejected("no_answer", "no \\boxed{…} follows the reasoning")
    if wanted is None:
        return
    extra: dict[str, Any] = {name: record[name] for name in ("data_source", "metadata") if name in record}
    extra |= record.get("extra_info") or {}
    reference = str(wanted) if verifying.verifier == MATH else wanted
    verdict = await asyncio.to_thread(verify, Task(problem_of(record), response, reference, extra), verifying)
    if verdict.failed is not None:
        raise Rejected("verifier_failed", verdict.failed)
    if not verdict.correct:
        raise Rejected("wrong_answer", _said(response, wanted, verdict.score, verifying))


def _said(response: str, wanted: object, score: float, verifying: VerifierSettings) -> str:
    if verifying.verifier == MATH:
        return f"the answer is {extract_answer(response, verifying.answer_line)!r}, {wanted!r} is wanted"
    return f"{shown(verifying.verifier)} scores it {score:g}, {wanted!r} is wanted"
