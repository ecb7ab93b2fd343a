"""Is an answer right? One question to whoever the setting `verifier` names (docs/verifier.md).

    math            tw_plugins.grading, in this process and its own pool
    http://…        a reward server
    anything else   a function in a process of ours: bounded, killed when late, replaced when it dies

An answer on which a verifier fails scores 0, is counted (`verifier_failed`), and the first one is in the log.
One that fails on everything ends the run.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable

from tw_plugins.grading import extract_answer, is_equivalent
from tw_plugins.grading.boxed import without_end_tokens
from tw_plugins.grading.settings import GradingSettings
from tw_plugins.verifiers import choice, remote
from tw_plugins.verifiers.names import CHOICE, CODE, MATH, VerifierError, is_remote, shown
from tw_plugins.verifiers.pool import pool_of, start
from tw_plugins.verifiers.settings import VerifierSettings
from tw_plugins.verifiers.task import Failed, Task, Verdict, Verifier, score_in

__all__ = [
    "Task",
    "Verdict",
    "Verifier",
    "VerifierError",
    "VerifierSettings",
    "answer_in",
    "check_verifier",
    "verify",
]

logger = logging.getLogger(__name__)

HOPELESS = 32
"""Failures without one verdict after which nothing is to be hoped of a verifier."""


def verify(task: Task, settings: VerifierSettings) -> Verdict:
    """What the chosen verifier says of an answer, in bounded time. Safe to call from any thread.

    Raises:
        VerifierError: it cannot be loaded, returned what is no score, or has failed on everything so far.
        GradingError: of `math`, see `tw_plugins.grading.is_equivalent`.
    """
    if settings.verifier == MATH:
        return _verify_math(task.text, task.reference, settings)
    try:
        score = _score(task, settings.verifier, settings.verifier_timeout_s)
    except Failed as failure:
        _outcomes.count_failure(settings.verifier, str(failure), task)
        return Verdict(0.0, failed=str(failure))
    _outcomes.count_verdict(settings.verifier)
    return Verdict(score)


def _score(task: Task, verifier: str, seconds: float) -> float:
    if is_remote(verifier):
        return score_in(verifier, remote.ask(verifier, task, seconds))
    ended = Task(task.prompt, without_end_tokens(task.text), task.reference, task.extra)
    return pool_of(verifier).score(ended, seconds)


def check_verifier(settings: VerifierSettings, sources: Iterable[str] = ()) -> None:
    """Loads the verifier once, to see at the start that it can be.

    Args:
        sources: every `data_source` of the data.

    Raises:
        VerifierError: it cannot; one line.
    """
    if settings.verifier != MATH and not is_remote(settings.verifier):
        start(settings.verifier, sources).kill()


def answer_in(text: str, settings: VerifierSettings) -> str | None:
    """The final answer, where the verifier looks for one; for people, and to count votes.

    Returns:
        None where there is none, or the answer is a program. What a verifier of one's own looks for nobody
        knows: of it, the last box or a last line ``Answer: …``.
    """
    if settings.verifier in CODE:
        return None
    if settings.verifier == CHOICE:
        return choice.answer_in(text)
    return extract_answer(text, settings.answer_line or settings.verifier != MATH)


def _verify_math(text: str, reference: str, grading: GradingSettings) -> Verdict:
    answer = extract_answer(text, grading.answer_line)
    correct = answer is not None and is_equivalent(answer, reference, grading.tolerance)
    return Verdict(float(correct), unanswered=answer is None)


class _Outcomes:
    """What verifiers came to in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}

    def count_verdict(self, verifier: str) -> None:
        with self._lock:
            self._working.add(verifier)

    def count_failure(self, verifier: str, why: str, task: Task) -> None:
        """
        Raises:
            VerifierError: it is one too many.
        """
        with self._lock:
            failures = self._failures[verifier] = self._failures.get(verifier, 0) + 1
            hopeless = verifier not in self._working and failures >= HOPELESS
        if failures == 1:
            # Not a warning: engines set the root logger to say errors only.
            logger.error(
                "verifier %s failed: %s. The answer scores 0 and is counted in verifier_failed, as further "
                "ones will be. Prompt %.300r, reference %.300r, the answer ends in %r",
                shown(verifier), why, task.prompt, task.reference, task.text[-300:],
            )  # fmt: skip
        if hopeless:
            raise VerifierError(
                f"verifier {shown(verifier)} failed on each of the first {failures}, on the last with: {why}"
                ". Mend it, or raise verifier_timeout_s where it is late"
            )


_outcomes = _Outcomes()


def _forget_after_fork() -> None:
    """A lock that a thread was holding stays locked in a forked child."""
    global _outcomes
    _outcomes = _Outcomes()


os.register_at_fork(after_in_child=_forget_after_fork)
