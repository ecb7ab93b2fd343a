"""An events problem as text: the question, in one of many wordings, and its worked solution."""

from __future__ import annotations

import random
from collections.abc import Sequence

from recipes.smollm2.events import Event, Problem

__all__ = ["question", "solution"]

NUMBERS = ("zero", "one", "two", "three", "four")
OWNERS = ("Mia", "Tom", "Anna", "Leo", "Sara", "Ben", "Nora", "Max", "Emma", "Sam", "Lucy", "Jack")
INTROS = (
    "{owner} keeps a calendar of {count} events.",
    "{owner} plans {count} events.",
    "There are {count} events in {owner}'s week.",
    "{owner} has to move {count} events.",
)
STARTS = (
    "The {event} was planned for {day}",
    "The {event} was first set for {day}",
    "The {event} was meant to be on {day}",
)
CHAINED = ("the last day of the {before}", "the day the {before} ends up on", "the final day of the {before}")
"""In the place of a day."""
THEN = (", then moved {moves}.", " and was moved {moves}.", " but moved {moves}.")
QUESTIONS = (
    "On which day is each of them in the end?",
    "Which day does each event end up on?",
    "What is the last day of each event?",
    "When does each of them take place?",
)


def question(problem: Problem) -> str:
    """As a user asks it; the same for the same problem."""
    rng = random.Random(problem.voice)
    intro = rng.choice(INTROS).format(owner=rng.choice(OWNERS), count=NUMBERS[len(problem.events)])
    start, chained, then = rng.choice(STARTS), rng.choice(CHAINED), rng.choice(THEN)
    told = [intro]
    before = ""
    for event, days in zip(problem.events, problem.days, strict=True):
        day = days[0] if event.start is not None else chained.format(before=before)
        moves = _listed([_move(move) for move in event.moves])
        told.append(start.format(event=event.name, day=day) + then.format(moves=moves))
        before = event.name
    told.append(rng.choice(QUESTIONS))
    return " ".join(told)


def solution(problem: Problem, parallel: bool) -> str:
    r"""The response text, from ``<think>`` to ``\boxed{…}``, without an end-of-sequence token.

    With ``parallel`` every event is a thread of one block (grammar: P4).

    Raises:
        ValueError: ``parallel`` for a chain, whose events need one another.
    """
    if parallel and problem.kind == "chain":
        raise ValueError("a chain has no parallel solution: its events need one another's days")
    lines = _lines(problem)
    working = _block(problem.events, lines) if parallel else "".join(f"{line}\n" for line in lines)
    return f"<think>\n{working}</think>\n\\boxed{{{problem.answer}}}"


def _lines(problem: Problem) -> list[str]:
    """``The wedding is on Monday. It is moved two days later: Wednesday. … The wedding ends on Friday.``"""
    lines = []
    before = ""
    for event, (first, *after) in zip(problem.events, problem.days, strict=True):
        day = first if event.start is not None else f"the day of the {before}, {first}"
        moves = (f"It is moved {_move(move)}: {day}." for move, day in zip(event.moves, after, strict=True))
        lines.append(
            " ".join([f"The {event.name} is on {day}.", *moves, f"The {event.name} ends on {after[-1]}."])
        )
        before = event.name
    return lines


def _block(events: Sequence[Event], lines: Sequence[str]) -> str:
    outlines = "".join(f"<Outline>{i}: the {event.name}</Outline>\n" for i, event in enumerate(events, 1))
    threads = "".join(f"<Thread>\n{i}: {line}\n</Thread>" for i, line in enumerate(lines, 1))
    return f"<Parallel>\n<Outlines>\n{outlines}</Outlines>\n{threads}\n</Parallel>\n"


def _move(days: int) -> str:
    plural = "" if abs(days) == 1 else "s"
    return f"{NUMBERS[abs(days)]} day{plural} {'later' if days > 0 else 'earlier'}"


def _listed(parts: Sequence[str]) -> str:
    """``a, b and c``"""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
