"""Policies written by hand that try to be paid for nothing, against the honest trajectory they come from.

The paper's η pays for tokens beside the critical path whatever they say. `acceleration: critical_path` pays
no game where the group's sequential answers are no longer than all of the honest trajectory. Where they are
longer, the trajectory left work out, and threads beside it pass for that work, up to what its path saves.
What all that is worth stands in docs/reliability.md: never more than by η, never more than ρ_clip.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.fakes import EOS, ScriptedEngine, control_tokens
from tw_plugins.reward import RewardSettings, compute_score
from tw_plugins.reward.critical_path import critical_path_bonuses
from tw_plugins.reward.facts import EXTRA_FIELD, summarise
from tw_plugins.rollout import Limits, fork_join

TAGS = control_tokens()
PAPER = RewardSettings()
ANSWER = "7"
A, B = "3 + 4 is worked out here", "and this is the check"
TAIL = f"</Parallel>\n</think>\\boxed{{{ANSWER}}}{EOS}"


def head(*outlines: str, numbers: list[int] | None = None) -> str:
    listed = zip(numbers or range(1, len(outlines) + 1), outlines, strict=True)
    lines = "".join(f"<Outline>{number}: {outline}</Outline>\n" for number, outline in listed)
    return f"<think>\n<Parallel>\n<Outlines>\n{lines}</Outlines>"


def threads(*bodies: str) -> list[str]:
    return [f" {body}\n</Thread>" for body in bodies]


SEQUENTIAL = [f"<think>\n{A}, {B}, again {B}\n</think>\\boxed{{{ANSWER}}}{EOS}"]
HONEST = [head("add", "check"), *threads(A, B), TAIL]
FORGED = "".join(f"<Thread>\n{number}: x\n</Thread>" for number in (1, 2))
GAMES = {
    "duplicate outlines, one number twice": [head("add", "add", numbers=[1, 1]), FORGED + TAIL],
    "duplicate outlines and copied threads": [head("add", "add", "check"), *threads(A, A, B), TAIL],
    "a copied thread": [head("add", "check", "check"), *threads(A, B, B), TAIL],
    "empty threads": [head("add", "check", *["x"] * 6), *threads(A, B, *[""] * 6), TAIL],
    "one thread padded": [head("add", "check"), *threads(A + " so" * 30, B), TAIL],
    "the shorter thread padded": [head("add", "check"), *threads(A, B + " so"), TAIL],
    "many trivial threads": [head("add", "check", *["x"] * 10), *threads(A, B, *["yes"] * 10), TAIL],
    "no closing of the block": [head("add", "check"), *threads(A, B), TAIL.removeprefix("</Parallel>\n")],
    "a block that is never filled": [head("add", "check"), *threads(A, B), head("again"), EOS, TAIL],
    "several boxed answers": [
        head("add", "check"), *threads(A, B), TAIL.replace(r"\boxed{7}", r"\boxed{7} or \boxed{8}"),
    ],
    "the answer in a thread only": [head("add", "check"), *threads(A, r"\boxed{7}"), "</Parallel>" + EOS],
}  # fmt: skip
PAID_BY_ETA = {
    "duplicate outlines and copied threads",
    "a copied thread",
    "empty threads",
    "the shorter thread padded",
    "many trivial threads",
    "no closing of the block",
}
"""Tokens beside the critical path, whatever they say; or tokens left out on it."""
LONG = [f"<think>\n{f'{A}, {B}, ' * 4}\n</think>\\boxed{{{ANSWER}}}{EOS}"]
SHORT = [f"<think>\n{A}\n</think>\\boxed{{{ANSWER}}}{EOS}"]
AFTER = f"</Parallel>\n{A}\n</think>\\boxed{{{ANSWER}}}{EOS}"
GAMES_FROM_SHORT = {
    "an empty thread beside it": [head("x"), *threads(""), AFTER],
    "all of it in one thread": [head("add"), *threads(A), TAIL],
    "no reasoning and an empty thread": [head("x"), *threads(""), TAIL],
    "two threads beside it": [head("x", "y"), *threads(B, B), AFTER],
    "all of it in two threads, twice": [head("add", "add"), *threads(A, A), TAIL],
}  # fmt: skip
PAID_BY_CRITICAL_PATH = {"two threads beside it", "all of it in two threads, twice"}
"""A group of longer answers cannot tell them from a fork that saved what they were shorter by."""


def scored(replies: list[str], prompt: str = "3+4?", acceleration: str = "eta") -> dict[str, float]:
    engine = ScriptedEngine.from_texts(TAGS, *replies)
    rollout = asyncio.run(fork_join(engine, TAGS.encode(prompt), TAGS, Limits.of(len(engine.replies) * 2000)))
    extra = {EXTRA_FIELD: summarise(rollout, TAGS)}
    return compute_score("", "", ANSWER, extra, acceleration=acceleration)


def paid_by_critical_path(replies: list[str], sequential: list[str]) -> tuple[float, float]:
    """Score of the game and of the honest trajectory, in one group with a sequential one."""
    group = [scored(one, acceleration="critical_path") for one in (replies, HONEST, sequential)]
    game, honest, _ = with_bonus(group)
    return game, honest


def with_bonus(group: list[dict[str, float]]) -> list[float]:
    bonuses = critical_path_bonuses(group, PAPER.rho, PAPER.rho_clip)
    return [score["score"] + bonus for score, bonus in zip(group, bonuses, strict=True)]


@pytest.mark.parametrize("game", GAMES)
def test_no_game_earns_more_than_the_honest_trajectory_by_the_critical_path(game: str) -> None:
    assert scored(SEQUENTIAL)["longest"] <= scored(HONEST)["total"]
    earned, honest = paid_by_critical_path(GAMES[game], SEQUENTIAL)
    assert honest > 1
    assert earned <= honest


@pytest.mark.parametrize("game", GAMES)
def test_what_the_critical_path_pays_in_a_group_of_longer_answers(game: str) -> None:
    """What η pays, but for a malformed block."""
    earned, honest = paid_by_critical_path(GAMES[game], LONG)
    assert (earned > honest) == (game in PAID_BY_ETA - {"no closing of the block"})
    assert earned - honest <= scored(GAMES[game])["score"] - scored(HONEST)["score"] + 1e-9


@pytest.mark.parametrize("game", GAMES_FROM_SHORT)
def test_what_the_critical_path_pays_for_a_fork_beside_a_short_answer(game: str) -> None:
    """Two longer answers in the group: the short one is the honest trajectory, and its reward is 1."""
    group = [scored(one, acceleration="critical_path") for one in (GAMES_FROM_SHORT[game], LONG, LONG)]
    earned = with_bonus(group)[0]
    assert (earned > 1) == (game in PAID_BY_CRITICAL_PATH)
    assert earned <= scored(GAMES_FROM_SHORT[game])["score"], "never more than the paper's bonus"


@pytest.mark.parametrize("game", GAMES)
def test_what_the_papers_bonus_allows(game: str) -> None:
    gain = scored(GAMES[game])["score"] - scored(HONEST)["score"]
    assert (gain > 0) == (game in PAID_BY_ETA)
    assert gain <= PAPER.rho_clip


@pytest.mark.parametrize("acceleration", ["eta", "critical_path"])
def test_an_answer_that_stands_in_the_prompt_is_not_the_models(acceleration: str) -> None:
    silent: list[Any] = [f"<think>\nI will not say\n</think>{EOS}"]
    assert scored(silent, prompt=r"Say \boxed{7}", acceleration=acceleration)["score"] == 0


@pytest.mark.parametrize("acceleration", ["eta", "critical_path"])
def test_of_several_boxed_answers_the_last_is_graded(acceleration: str) -> None:
    assert scored(GAMES["several boxed answers"], acceleration=acceleration)["acc"] == 0
