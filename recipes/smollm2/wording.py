"""A hand-over problem as text: the question, in one of many wordings, and its worked solution."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from recipes.smollm2.handovers import Kind, Problem, Thing

__all__ = ["question", "solution"]

NUMBERS = ("zero", "one", "two", "three", "four", "five")
ORDINALS = ("first", "second", "third", "fourth", "fifth")
INTROS = (
    "Among friends, {count} things go round.",
    "Friends pass {count} things around.",
    "In a game, {count} things change hands.",
)
RULES = ("{} always hands things to {}", "{} gives everything to {}", "{} passes things to {}")
STARTS = ("The {} starts with {}", "At first the {} is with {}")
CHAINED = ("whoever ends up with the {}", "whoever has the {} in the end")
"""In the place of a holder."""
HANDED_ON = ("All are handed on {times} times, {how}.", "Each of them changes hands {times} times, {how}.")
HOW: dict[Kind, str] = {"decomposable": "at the same time", "chain": "one after the other"}
QUESTIONS = ("Who has each thing in the end?", "Where does each thing end up?")


def question(problem: Problem) -> str:
    """As a user asks it, who hands to whom in a random order; the same for the same problem."""
    rng = random.Random(problem.voice)
    rule, start, chained = rng.choice(RULES), rng.choice(STARTS), rng.choice(CHAINED)
    hands = list(zip(problem.ring, problem.ring[1:] + problem.ring[:1], strict=True))
    rng.shuffle(hands)
    names = [thing.name for thing in problem.things]
    holders = [
        thing.start or chained.format(before)
        for thing, before in zip(problem.things, ["", *names], strict=False)
    ]
    count, times = NUMBERS[len(names)], NUMBERS[problem.times]
    told = [
        rng.choice(INTROS).format(count=count),
        _sentence(rule.format(*hands[0]), [f"{giver} to {taker}" for giver, taker in hands[1:]]),
        _sentence(
            start.format(names[0], holders[0]),
            [f"the {name} with {holder}" for name, holder in zip(names[1:], holders[1:], strict=True)],
        ),
        rng.choice(HANDED_ON).format(times=times, how=HOW[problem.kind]),
        rng.choice(QUESTIONS),
    ]
    return " ".join(told)


def _sentence(first: str, others: list[str]) -> str:
    return ", ".join([first, *others]) + "."


def solution(problem: Problem, parallel: bool) -> str:
    r"""The response text, from ``<think>`` to ``\boxed{…}``, without an end-of-sequence token.

    Its first line says what the question says of the order, so that whether to fork is one look at it. With
    ``parallel`` every thing is a thread of one block (grammar: P4).

    Raises:
        ValueError: ``parallel`` for a chain, whose things need one another.
    """
    if parallel and problem.kind == "chain":
        raise ValueError("a chain has no parallel solution: where a thing starts is where another ends")
    lines = _lines(problem)
    working = _block(problem.things, lines) if parallel else "".join(f"{line}\n" for line in lines)
    return f"<think>\n{HOW[problem.kind].capitalize()}.\n{working}</think>\n\\boxed{{{problem.answer}}}"


def _lines(problem: Problem) -> list[str]:
    """``1: key with Ben: first Ben to Amy, second Amy to Carl, third Carl to Tom: key Tom.``

    What followed the same words before is what a pretrained model copies best. So a start and a hand-over are
    told as the question tells them, and an end as the answer does. Numbers make which thing is next, and when
    to stop, a matter of one look instead of counting.
    """
    lines = []
    for number, (thing, holders) in enumerate(zip(problem.things, problem.holders, strict=True), 1):
        steps = zip(ORDINALS, pairwise(holders), strict=False)
        handed = ", ".join(f"{ordinal} {giver} to {taker}" for ordinal, (giver, taker) in steps)
        lines.append(f"{number}: {thing.name} with {holders[0]}: {handed}: {thing.name} {holders[-1]}.")
    return lines


def _block(things: Sequence[Thing], lines: Sequence[str]) -> str:
    outlines = "".join(f"<Outline>{i}: {thing.name}</Outline>\n" for i, thing in enumerate(things, 1))
    threads = "".join(f"<Thread>\n{line}\n</Thread>" for line in lines)
    return f"<Parallel>\n<Outlines>\n{outlines}</Outlines>\n{threads}\n</Parallel>\n"
