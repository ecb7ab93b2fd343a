"""Fake engines and a character-level tokenizer, shared by the tests of every package."""

from __future__ import annotations

import asyncio
import math
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tw_plugins.rollout import Completion
from tw_plugins.trajectory import TAGS, ControlTokens

EOS = "<|im_end|>"


def char_tokenizer(tags: Sequence[str] = TAGS, extra: Sequence[str] = ("<think>", "</think>")) -> Any:
    """A Hugging Face tokenizer with one id per printable ASCII character, and each of ``tags`` as one id."""
    specials = ["<pad>", "<unk>", EOS]
    vocab = {token: index for index, token in enumerate([*specials, *string.printable])}
    core = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    core.add_special_tokens([AddedToken(token, special=True) for token in [*specials, *tags]])
    core.add_tokens([AddedToken(token, normalized=False) for token in extra])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=EOS, pad_token="<pad>", unk_token="<unk>")


def control_tokens(tokenizer: Any | None = None) -> ControlTokens:
    """Control tokens of the given tokenizer (default: a fresh :func:`char_tokenizer`)."""
    return ControlTokens.from_tokenizer(tokenizer or char_tokenizer())


def logprobs_of(ids: Sequence[int]) -> list[float]:
    """Made-up log-probs that differ by id and place, so that a misaligned copy shows."""
    return [-math.log(2 + token + place / 1000) for place, token in enumerate(ids)]


@dataclass(frozen=True)
class Request:
    """What an engine was asked."""

    prompt_ids: list[int]
    stop_token_ids: list[int]
    max_tokens: int
    request_id: str


@dataclass
class ScriptedEngine:
    """Answers request k with ``replies[k]`` as it stands; threads ask in outline order.

    A reply is ids (finish reason "stop"), a :class:`Completion`, or an exception to raise.
    """

    replies: Sequence[Sequence[int] | Completion | BaseException]
    requests: list[Request] = field(default_factory=list)

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        reply = self.replies[len(self.requests)]
        self.requests.append(Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id))
        await asyncio.sleep(0)
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, Completion):
            return reply
        return Completion(list(reply), logprobs_of(reply), "stop")

    @classmethod
    def from_texts(cls, tags: ControlTokens, *texts: str) -> ScriptedEngine:
        """Replies given as text; tags and ``<|im_end|>`` become their single ids."""
        return cls([tags.encode(text) for text in texts])


@dataclass
class RandomEngine:
    """Well-behaved noise: draws ids from ``pool``, stops after a stop token or at ``max_tokens``."""

    seed: int
    pool: Sequence[int]
    requests: list[Request] = field(default_factory=list)

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        rng = random.Random(f"{self.seed}/{len(self.requests)}")
        self.requests.append(Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id))
        await asyncio.sleep(0)
        ids: list[int] = []
        while len(ids) < max_tokens and not (ids and ids[-1] in stop_token_ids):
            ids.append(rng.choice(self.pool))
        stopped = bool(ids) and ids[-1] in stop_token_ids
        return Completion(ids, logprobs_of(ids), "stop" if stopped else "length")


@dataclass
class StoryEngine:
    """Writes random well-formed trajectories: ``blocks`` forks of 1..``max_threads`` threads, then an answer.

    ``eos_rate`` of the threads end in EOS instead of ``</Thread>``.
    """

    seed: int
    tags: ControlTokens
    blocks: int = 2
    max_threads: int = 4
    thread_length: int = 12
    eos_rate: float = 0.0
    requests: list[Request] = field(default_factory=list)
    opened: int = 0

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        rng = random.Random(f"{self.seed}/{len(self.requests)}")
        self.requests.append(Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id))
        await asyncio.sleep(0)
        in_thread = self.tags.thread_end in stop_token_ids
        ids = self.tags.encode(self._thread(rng) if in_thread else self._segment(rng))
        reason = "stop" if len(ids) <= max_tokens else "length"
        return Completion(ids[:max_tokens], logprobs_of(ids[:max_tokens]), reason)  # type: ignore[arg-type]

    def _thread(self, rng: random.Random) -> str:
        return f" {self._words(rng)}" + (EOS if rng.random() < self.eos_rate else "\n</Thread>")

    def _segment(self, rng: random.Random) -> str:
        lead = "</Parallel>\n" if self.opened else "<think>"
        if self.opened == self.blocks:
            return f"{lead}done</think>{self._words(rng)}{EOS}"
        self.opened += 1
        numbers = range(1, rng.randint(1, self.max_threads) + 1)
        outlines = "".join(f"<Outline>{number}: {self._words(rng)}</Outline>\n" for number in numbers)
        return f"{lead}{self._words(rng)}\n<Parallel>\n<Outlines>\n{outlines}</Outlines>"

    def _words(self, rng: random.Random) -> str:
        return "".join(rng.choices(string.ascii_lowercase + " ", k=rng.randint(1, self.thread_length)))
