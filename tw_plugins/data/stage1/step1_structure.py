"""Step 1: the model says how a trace is built, and checks what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tw_plugins.data.stage1.answer_json import Malformed, json_in
from tw_plugins.data.stage1.correct import check_answer
from tw_plugins.data.stage1.endpoint import Chat
from tw_plugins.data.stage1.questions import ask_until, prompt
from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.data.stage1.traces import problem_of, trace_of
from tw_plugins.storage.jsonl import Record
from tw_plugins.verifiers import VerifierSettings

__all__ = ["Passage", "read_structure", "structure"]


@dataclass(frozen=True)
class Passage:
    """A step or substep: lines first..last, counted from 1, both included."""

    number: str
    title: str
    first: int
    last: int


async def structure(
    record: Record,
    chat: Chat,
    attempts: int,
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> Record:
    """The record with `groups`, each a list of passages that are independent by the model's own check.

    A check that fails goes back to the model with its reason.

    Raises:
        Rejected: the trace is wrong, nothing is parallel, or no answer could be read or passed the check.
    """
    trace, problem = trace_of(record), problem_of(record)
    await check_answer(record, str(record["response"]), verifying)
    asked = prompt("structure", problem=problem, lines=trace.numbered())
    complaint = ""
    for _ in range(attempts):
        groups = await ask_until(
            chat, asked + complaint, lambda answer: read_structure(answer, len(trace.lines)), attempts
        )
        if not groups:
            raise Rejected("nothing_parallel", "the model finds no independent steps")
        check = prompt("verify", problem=problem, lines=trace.numbered(), groups=groups)
        passed, reason = await ask_until(chat, check, _read_verdict, attempts)
        if passed:
            return {**record, "groups": [[asdict(passage) for passage in group] for group in groups]}
        complaint += f"\n\nAn earlier answer failed a check: {reason}. Leave out what does not hold.\n"
    raise Rejected("verification_failed", reason)


def read_structure(answer: str, lines: int) -> list[list[Passage]]:
    """The groups of an answer.

    Raises:
        Malformed: not the JSON asked for, line ranges that are out of order, overlap or leave the trace, or a
            group of unknown steps.
    """
    data = json_in(answer)
    if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
        raise Malformed('it is no object with a list "steps"')
    steps = _passages(data["steps"], 1, lines)
    known = {step.number: step for step in steps}
    for step, entry in zip(steps, data["steps"], strict=True):
        substeps = entry.get("substeps") or []
        if not isinstance(substeps, list):
            raise Malformed(f'the "substeps" of step {step.number} are no list')
        known |= {part.number: part for part in _passages(substeps, step.first, step.last)}
    groups = data.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise Malformed('"groups" is no list of lists')
    if unknown := [str(number) for group in groups for number in group if str(number) not in known]:
        raise Malformed(f"a group names {unknown[0]}, which is no step")
    return [[known[str(number)] for number in group] for group in groups]


def _passages(entries: Sequence[Any], first: int, last: int) -> list[Passage]:
    """In order, within lines first..last."""
    passages = []
    free = first
    for entry in entries:
        try:
            passage = Passage(
                str(entry["number"]), str(entry["title"]), int(entry["first"]), int(entry["last"])
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Malformed("a step needs number, title, first and last") from error
        if not free <= passage.first <= passage.last <= last:
            raise Malformed(
                f"step {passage.number} has lines {passage.first} to {passage.last}, they must lie in {free} "
                f"to {last} and follow the step before"
            )
        free = passage.last + 1
        passages.append(passage)
    return passages


def _read_verdict(answer: str) -> tuple[bool, str]:
    data = json_in(answer)
    if not isinstance(data, dict) or not isinstance(data.get("passed"), bool):
        raise Malformed('it is no object with "passed": true or false')
    return data["passed"], str(data.get("reason") or "no reason given")
