"""A hand-over problem as text: the question, in one of many wordings, and its worked solution."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from recipes.smollm2.handovers import Problem, Thing

__all__ = ["question", "solution"]

NUMBERS = ("zero", "one", "two", "three", "four")
ORDINALS = ("First", "Second", "Third", "Fourth")
INTROS = (
    "Among friends, {count} things go round.",
    "Some friends pass {count} things around.",
    "In a game, {count} things go from hand to hand.",
    "There are {count} things that people hand on.",
)
HAND_OVER = "{giver} hands it to {taker}."
RULES = (
    "{giver} always hands things to {taker}.",
    "{giver} hands everything to {taker}.",
    "{giver} gives things to {taker}.",
    "{giver} passes things to {taker}.",
)
STARTS = ("The {thing} starts with {holder}.", "At first, the {thing} is with {holder}.")
CHAINED = ("whoever ends up with the {before}", "whoever has the {before} in the end")
"""In the place of a holder."""
TIMES = (
    "Each thing is handed on {times} times.",
    "Each of them changes hands {times} times.",
    "All of them are handed on {times} times.",
)
QUESTIONS = (
    "Who has each thing in the end?",
    "Where does each thing end up?",
    "With whom does each of them end?",
)


def question(problem: Problem) -> str:
    """As a user asks it, who hands to whom in a random order; the same for the same problem."""
    rng = random.Random(problem.voice)
    rule, start, chained = rng.choice(RULES), rng.choice(STARTS), rng.choice(CHAINED)
    hands = list(zip(problem.ring, problem.ring[1:] + problem.ring[:1], strict=True))
    rng.shuffle(hands)
    told = [rng.choice(INTROS).format(count=NUMBERS[len(problem.things)])]
    told += [rule.format(giver=giver, taker=taker) for giver, taker in hands]
    before = ""
    for thing in problem.things:
        told.append(start.format(thing=thing.name, holder=thing.start or chained.format(before=before)))
        before = thing.name
    told += [rng.choice(TIMES).format(times=NUMBERS[problem.times]), rng.choice(QUESTIONS)]
    return " ".join(told)


def solution(problem: Problem, parallel: bool) -> str:
    r"""The response text, from ``<think>`` to ``\boxed{…}``, without an end-of-sequence token.

    With ``parallel`` every thing is a thread of one block (grammar: P4).

    Raises:
        ValueError: ``parallel`` for a chain, whose things need one another.
    """
    if parallel and problem.kind == "chain":
        raise ValueError("a chain has no parallel solution: where a thing starts is where another ends")
    lines = _lines(problem)
    working = _block(problem.things, lines) if parallel else "".join(f"{line}\n" for line in lines)
    return f"<think>\n{working}</think>\n\\boxed{{{problem.answer}}}"


def _lines(problem: Problem) -> list[str]:
    """``The key starts with Ben. First Ben hands it to Amy. … The key ends with Carl.``

    The ordinals make when to stop a matter of one look at the question instead of counting.
    """
    lines = []
    before = ""
    for thing, holders in zip(problem.things, problem.holders, strict=True):
        first = holders[0] if thing.start is not None else f"whoever has the {before}, {holders[0]}"
        steps = zip(ORDINALS, pairwise(holders), strict=False)
        handed = (
            f"{ordinal} {HAND_OVER.format(giver=giver, taker=taker)}" for ordinal, (giver, taker) in steps
        )
        start, end = f"The {thing.name} starts with {first}.", f"The {thing.name} ends with {holders[-1]}."
        lines.append(" ".join([start, *handed, end]))
        before = thing.name
    return lines


def _block(things: Sequence[Thing], lines: Sequence[str]) -> str:
    outlines = "".join(f"<Outline>{i}: the {thing.name}</Outline>\n" for i, thing in enumerate(things, 1))
    threads = "".join(f"<Thread>\n{i}: {line}\n</Thread>" for i, line in enumerate(lines, 1))
    return f"<Parallel>\n<Outlines>\n{outlines}</Outlines>\n{threads}\n</Parallel>\n"
