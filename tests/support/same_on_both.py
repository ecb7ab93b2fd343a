"""Eight trajectories that both frameworks' tests feed through their adapter, and what must come out.

Prompts have two lengths: verl's batches want that. The expected rewards, advantages and loss are worked out
here from the paper's formulas alone: lengths by counting each reply, Eq. 4 by one plain float64 forward per
request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import torch

from tests.support.fakes import EOS, ScriptedEngine
from tests.support.reference import request_logprobs
from tw_plugins.rollout import Limits, Rollout, fork_join
from tw_plugins.trajectory import ControlTokens

MAX_TOKENS = 200


@dataclass(frozen=True)
class Trajectory:
    """A prompt, its group's label, and the text of each request's reply: head, threads, tail."""

    prompt: str
    label: str
    replies: tuple[str, ...]


def _forked(answer: str, *threads: str) -> tuple[str, ...]:
    outlines = "".join(f"<Outline>{n}: s</Outline>\n" for n in range(1, len(threads) + 1))
    head = f"<think>\n<Parallel>\n<Outlines>\n{outlines}</Outlines>"
    bodies = tuple(f" {thread}\n</Thread>" for thread in threads)
    return (head, *bodies, f"</Parallel>\n</think>\\boxed{{{answer}}}{EOS}")


def _plain(answer: str, text: str) -> tuple[str, ...]:
    return (f"<think>\n{text}\n</think>\\boxed{{{answer}}}{EOS}",)


TRAJECTORIES = (
    Trajectory("1+2?", "3", _forked("3", "ab", "cdef", "ghijkl")),
    Trajectory("1+2?", "3", _forked("4", "ab", "cd")),
    Trajectory("1+2?", "3", _plain("3", "one and two")),
    Trajectory("1+2?", "3", _forked("3", "a" * 30, "b" * 30, "c" * 30)),
    Trajectory("2+25?", "27", _plain("8", "no")),
    Trajectory("2+25?", "27", _forked("27", "long thread", "x")),
    Trajectory("2+25?", "27", _plain("27", "yes")),
    Trajectory("2+25?", "27", _plain("27", "yes, of course")),
)


def expected_rewards(tags: ControlTokens) -> list[float]:
    """1[correct] · (1 + min(0.5 · (1 − longest / total), 0.2)), tokens counted reply by reply (P9-10)."""
    rewards = []
    for trajectory in TRAJECTORIES:
        lengths = [len(tags.encode(text)) for text in trajectory.replies]
        total = sum(lengths)
        longest = lengths[0] + (max(lengths[1:-1]) + lengths[-1] if len(lengths) > 1 else 0)
        correct = f"boxed{{{trajectory.label}}}" in trajectory.replies[-1]
        rewards.append((1 + min(0.5 * (1 - longest / total), 0.2)) if correct else 0.0)
    return rewards


def expected_advantages(tags: ControlTokens) -> list[float]:
    """Reward minus the mean of the four trajectories of the same prompt."""
    rewards = expected_rewards(tags)
    means = [sum(rewards[:4]) / 4] * 4 + [sum(rewards[4:]) / 4] * 4
    return [reward - mean for reward, mean in zip(rewards, means, strict=True)]


def rollouts(tags: ControlTokens) -> list[Rollout]:
    """The trajectories as the state machine gives them."""

    def roll(trajectory: Trajectory) -> Rollout:
        engine = ScriptedEngine.from_texts(tags, *trajectory.replies)
        return asyncio.run(fork_join(engine, tags.encode(trajectory.prompt), tags, Limits.of(MAX_TOKENS)))

    return [roll(trajectory) for trajectory in TRAJECTORIES]


def expected_gradient(model: Any, tags: ControlTokens) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradient of Eq. 4 on-policy, −(1/ΣT) Σ A · log π, on a stock float64 model.

    The ratio form that frameworks use has the value −(1/ΣT) Σ A · 1 there, and the same gradient.
    """
    total, tokens, value = torch.zeros((), dtype=torch.float64), 0, 0.0
    for rollout, advantage in zip(rollouts(tags), expected_advantages(tags), strict=True):
        for logprobs in request_logprobs(model, rollout):
            total = total - advantage * logprobs.sum()
            value -= advantage * len(logprobs)
            tokens += len(logprobs)
    (total / tokens).backward()
    return value / tokens, {name: p.grad.clone() for name, p in model.named_parameters()}


def distance(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor]) -> float:
    """‖got − want‖ / ‖want‖ over all parameters."""
    assert got.keys() == want.keys()
    apart = sum(float((got[name].double() - want[name]).square().sum()) for name in want)
    return (apart / sum(float(value.square().sum()) for value in want.values())) ** 0.5
