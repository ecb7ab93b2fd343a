"""One generated trajectory as plain data: what is asked for, and all that the engine will answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.fuzz.tokens import EOS, HIGHEST_ID, VOCABULARIES
from tw_plugins.rollout import Limits, Mode
from tw_plugins.trajectory import ControlTokens

FAULTS = ("engine", "timeout", "logprobs", "cancel")
"""The engine raises EngineError, raises TimeoutError, counts its log-probs wrongly; the caller cancels."""


@dataclass(frozen=True)
class Reply:
    """What the engine answers to one request, ``delay`` turns of the event loop (at least 1) after it."""

    ids: tuple[int, ...]
    reason: str | None = "stop"
    logprobs: bool = True
    delay: int = 1
    fault: str | None = None


@dataclass(frozen=True)
class Case:
    """Everything one trajectory depends on.

    Attributes:
        vocabulary: index into VOCABULARIES.
        segments, threads: replies to sequential requests and to threads, in order, from the start again after
            the last.
        polite: the engine obeys ``stop_token_ids`` and ``max_tokens``; otherwise it answers as it likes.
        keeps_stop: a polite engine leaves the stop token in.
        truth: the reference answer.
        reward: settings of the reward.
        request_id_per_thread: threads have request ids of their own.
        block_mask: FlexAttention's mask is compared too where there are branches; it takes a while.
    """

    vocabulary: int
    prompt: tuple[int, ...]
    mode: Mode
    limits: Limits
    segments: tuple[Reply, ...]
    threads: tuple[Reply, ...]
    polite: bool
    keeps_stop: bool
    truth: str
    reward: dict[str, Any]
    request_id_per_thread: bool = False
    block_mask: bool = False

    @property
    def tags(self) -> ControlTokens:
        return VOCABULARIES[self.vocabulary]

    @property
    def size(self) -> int:
        """Ids in all replies: the measure of a short case."""
        return sum(1 + len(reply.ids) for reply in (*self.segments, *self.threads))


def draw(seed: int, number: int) -> Case:
    """Case ``number`` of a run; the same for the same arguments."""
    rng = Random(f"{seed}/{number}")
    vocabulary = rng.randrange(len(VOCABULARIES))
    tags = VOCABULARIES[vocabulary]
    wild = rng.choice((0.0, 0.0, 0.1, 0.4))  # how often a piece of text is damaged
    faults = rng.random() < 0.06

    def replies(texts: Iterable[str]) -> tuple[Reply, ...]:
        return tuple(_reply(rng, tags, text, wild, faults) for text in texts)

    return Case(
        vocabulary=vocabulary,
        prompt=tuple(rng.choices(range(HIGHEST_ID), k=rng.randint(1, 4))),
        mode="autoregressive" if rng.random() < 0.05 else "parallel",
        limits=_limits(rng),
        segments=replies(_segments(rng)),
        threads=replies(_thread(rng) for _ in range(rng.randint(1, 5))),
        polite=rng.random() < 0.6,
        keeps_stop=rng.random() < 0.7,
        truth=rng.choice(("7", "7", "7", "07", "12", "a")),
        reward=_reward(rng),
        request_id_per_thread=rng.random() < 0.3,
        block_mask=number % 20 == 0,
    )


def _limits(rng: Random) -> Limits:
    total = rng.choice((rng.randint(1, 30), rng.randint(30, 160), *[rng.randint(100, 200)] * 2))
    return Limits(
        max_tokens=total,
        max_thread_tokens=rng.choice((rng.randint(1, 20), 300)),
        max_threads=rng.choice((1, 3, 50, 50)),
        max_blocks=rng.choice((0, 1, 2, 4, 4, 4)),
        answer_reserve=rng.choice((0, 0, total // 8, rng.randrange(total))),
    )


def _reward(rng: Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {}
    return {
        "rho": rng.choice((0.0, 0.5, 3.0)),
        "rho_clip": rng.choice((0.0, 0.2, 1.0)),
        "wrong": rng.choice((0.0, -0.5)),
        "format_weight": rng.choice((0.0, 0.1)),
        "acceleration": rng.choice(("eta", "eta", "critical_path", "none")),
    }


def _reply(rng: Random, tags: ControlTokens, text: str, wild: float, faults: bool) -> Reply:
    ids = tags.encode(text)
    if rng.random() < wild:
        ids = _damaged(rng, tags, ids)
    return Reply(
        ids=tuple(ids),
        reason=rng.choices(("stop", "length", "abort", None), (94, 3, 1.5, 1.5))[0],
        logprobs=rng.random() < 0.97,
        delay=rng.choice((1, 2, 3, rng.randint(1, 15))),
        fault=rng.choice(FAULTS) if faults and rng.random() < 0.3 else None,
    )


def _damaged(rng: Random, tags: ControlTokens, ids: list[int]) -> list[int]:
    """The ids with a few lost, repeated, exchanged, or replaced by noise."""
    kind, place = rng.randrange(6), rng.randint(0, len(ids))
    noise = rng.choices([*tags.tag_of, *tags.eos_ids, *range(HIGHEST_ID)], k=rng.randint(1, 12))
    if kind == 0:
        return ids[:place]
    if kind == 1:
        return ids[:place] + ids[max(0, place - rng.randint(1, 5)) :]
    if kind == 2:
        return rng.sample(ids, len(ids))
    if kind == 3:
        return noise
    return ids[:place] + noise[:3] + ids[place + rng.randint(0, 2) :]


def _segments(rng: Random) -> list[str]:
    """Half of all cases tell a story that ends with an answer, the other half writes in no order."""
    if rng.random() < 0.5:
        return [_fork(rng) if rng.random() < 0.6 else _ending(rng) for _ in range(rng.randint(1, 5))]
    forks = [_fork(rng, lead) for lead in ("<think>", *["\n</Parallel>\n"] * rng.randrange(3))]
    return [*forks, "\n</Parallel>" + _ending(rng)]


def _fork(rng: Random, lead: str | None = None) -> str:
    conclusion = "<Conclusion>\na\n</Conclusion>\n</Parallel>"
    lead = rng.choice(("", "<think>", "\n</Parallel>", conclusion)) if lead is None else lead
    return f"{lead}{_words(rng)}{_outlines(rng)}{rng.choice(('', '', _words(rng)))}"


def _ending(rng: Random) -> str:
    answer = rng.choice(("7", "7", "+7", "12", "7}\\boxed{12", "{7}", "", "a"))
    box = rng.choice(
        (f"\\boxed{{{answer}}}", f"\\boxed{{{answer}}}", f"\\boxed{{{answer}", "\\boxed{7}\\boxed{\\}", "")
    )
    return f"{_words(rng)}{rng.choice(('</think>', ''))}{box}{rng.choice((*EOS, EOS[0], ''))}"


def _outlines(rng: Random) -> str:
    count = rng.choices((1, 2, 3, 4, 0, 51), (20, 40, 20, 10, 2, 1))[0]
    numbers = list(range(1, count + 1))
    if numbers and rng.random() < 0.08:
        numbers[rng.randrange(count)] = rng.choice((0, 1, 7, count + 1))
    gap = rng.choice(("\n", "", " ", "\n"))
    texts = "".join(f"<Outline>{number}:{_words(rng)}</Outline>{gap}" for number in numbers)
    return f"<Parallel>{gap}<Outlines>{gap}{texts}</Outlines>"


def _thread(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.05:
        return ""
    if kind < 0.1:
        return _words(rng) * 40  # endless
    return _words(rng) + rng.choice(
        ("\n</Thread>", "</Thread>", "\n</Thread>", EOS[0], "", "</Outlines>", "\\boxed{7}")
    )


def _words(rng: Random) -> str:
    return "".join(rng.choices("abcd 17:\n", k=rng.randrange(7)))
