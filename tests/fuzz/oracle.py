"""What the state machine must do with a case, written a second time: in order, with regular expressions.

Nothing of the code under test is used but the plain data classes and the tokenizer's own tables. Control
tokens become single private characters, so that text which merely spells a tag stays text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fuzz.engine import Request
from tw_plugins.rollout import Completion, Limits
from tw_plugins.trajectory import TAGS, ControlTokens

_MARKS = {tag: chr(0xE000 + number) for number, tag in enumerate(TAGS)}
_P, _P_, _OS, _OS_, _O, _O_, _T, _T_, _C, _C_ = _MARKS.values()
_BODY = "[^\ue000-\ue00f]*"
_OUTLINES = rf"{_P}\s*{_OS}\s*((?:{_O}{_BODY}{_O_}\s*)+){_OS_}"
_BLOCK = rf"{_OUTLINES}\s*((?:{_T}{_BODY}{_T_}\s*)+)(?:{_C}{_BODY}{_C_}\s*)?{_P_}"
_SPELLED = re.compile("|".join(map(re.escape, TAGS)))


def marked(ids: Sequence[int], tags: ControlTokens) -> str:
    """Text of ids with each control token as one private character."""
    text, run = "", []
    for token in ids:
        if token in tags.tag_of:
            text += tags.decode(run) + _MARKS[tags.tag_of[token]]
            run = []
        else:
            run.append(token)
    return text + tags.decode(run)


def _numbers(parts: str, opening: str) -> list[int]:
    """Numbers of the outlines or threads in ``parts``; 0 for one without a number."""
    found = [re.match(r"\s*([1-9][0-9]{0,8}):", part) for part in parts.split(opening)[1:]]
    return [int(match[1]) if match else 0 for match in found]


def fork_of(ids: Sequence[int], tags: ControlTokens) -> int:
    """Threads that ids ending in ``</Outlines>`` ask for; 0 when they are no fork."""
    text = marked(ids, tags)
    text = text[text.rfind(_P) :]
    match = re.fullmatch(_OUTLINES, text)
    if not match or _SPELLED.search(text) or re.search("</?think>", text):
        return 0
    numbers = _numbers(match[1], _O)
    return len(numbers) if numbers == list(range(1, len(numbers) + 1)) else 0


def is_well_formed(ids: Sequence[int], tags: ControlTokens) -> bool:
    """Whether a joined response keeps the grammar (spec §1)."""
    text = marked(ids, tags)
    if _SPELLED.search(text) or not re.fullmatch(rf"{_BODY}(?:{_BLOCK}{_BODY})*", text):
        return False
    return all(_block_is_right(match, text) for match in re.finditer(_BLOCK, text))


def _block_is_right(block: re.Match[str], text: str) -> bool:
    outlines, threads = _numbers(block[1], _O), _numbers(block[2], _T)
    before = re.findall("</?think>", text[: block.start()])
    after = re.findall("</?think>", text[block.end() :])
    thinking = before[-1] == "<think>" if before else after[:1] != ["<think>"]
    numbered = outlines == threads == list(range(1, len(outlines) + 1)) and len(outlines) <= 50
    return numbered and thinking and not re.search("</?think>", block[0])


def _cut(answer: Completion, budget: int) -> Completion:
    logprobs = None if answer.logprobs is None else list(answer.logprobs)[:budget]
    shortened = len(answer.token_ids) > budget and answer.finish_reason != "abort"
    reason = "length" if shortened else answer.finish_reason
    return Completion(list(answer.token_ids)[:budget], logprobs, reason, answer.weight_version)


@dataclass
class Oracle:
    """Goes through the log of an engine request by request and says what each had to be.

    Attributes:
        path: prompt and joined response so far.
        calls: (context, sampled ids, block, thread) of every request.
        completions: what each call must hold: the engine's answer without what it was not asked for.
        hits, malformed: what must have been counted.
    """

    log: Sequence[Request]
    tags: ControlTokens
    limits: Limits
    path: list[int]
    prompt: int = 0
    calls: list[tuple[list[int], list[int], int | None, int | None]] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    malformed: int = 0

    def run(self, mode: str) -> None:
        self.prompt = len(self.path)
        blocks = refused = 0
        while True:
            forking = mode == "parallel" and max(blocks, refused) < self.limits.max_blocks
            at_fork = self._segment(forking, counted=mode == "parallel")
            if not at_fork:
                break
            threads = self._fork()
            if not threads:
                refused += 1
                continue
            blocks += 1
            if self._block(blocks, threads):
                break
        assert len(self.calls) == len(self.log), "more requests than there had to be"

    def _room(self) -> int:
        sampled = sum(len(ids) for _, ids, _, _ in self.calls)
        return self.limits.max_tokens - max(len(self.path) - self.prompt, sampled)

    def _answer(
        self,
        context: list[int],
        stops: set[int],
        budget: int,
        limit: str,
        block: int | None,
        thread: int | None,
    ) -> tuple[list[int], Completion, bool]:
        """Checks one request; its sampled ids, and whether they were cut."""
        request = self.log[len(self.calls)]
        assert request.context == context, "a request has another context"
        assert set(request.stops) == stops and len(request.stops) == len(stops), "a request has other stops"
        assert request.max_tokens == budget, "a request has another budget"
        assert request.completion is not None
        ids = list(request.completion.token_ids)[:budget]
        self.calls.append((context, ids, block, thread))
        self.completions.append(_cut(request.completion, budget))
        ended = bool(ids) and ids[-1] in stops
        if request.completion.finish_reason == "abort":
            self.hits["abort"] += 1
            return ids, request.completion, True
        too_long = len(ids) == budget or request.completion.finish_reason == "length"
        if not ended and too_long:
            self.hits[limit] += 1
            return ids, request.completion, True
        return ids, request.completion, False

    def _segment(self, forking: bool, counted: bool) -> bool:
        room = self._room()
        if room < 1:
            self.hits["max_tokens"] += 1
            return False
        close, ends = self.tags.outlines_end, set(self.tags.eos_ids)
        stops = ends | {close} if forking else ends
        ids, _, cut = self._answer(list(self.path), stops, room, "max_tokens", None, None)
        self.path += ids
        self.segment = ids
        if not forking:
            if counted and close in ids:
                self.hits["max_blocks"] += ids.count(close)
            return False
        if cut or ids[-1:] == [close]:
            return not cut
        left_out = not (ids and ids[-1] in ends) and self.tags.parallel in ids
        if left_out and fork_of([*ids, close], self.tags):
            self.path.append(close)
            self.segment = [*ids, close]
            return True
        return False

    def _fork(self) -> int:
        """Threads of the fork that the last segment ends with; 0 when there is none."""
        threads = fork_of(self.segment, self.tags)
        if not threads:
            self.malformed += 1
        elif threads > self.limits.max_threads:
            self.hits["max_threads"] += 1
        elif self._share(threads) < 1:
            self.hits["answer_reserve"] += 1
        else:
            return threads
        return 0

    def _share(self, threads: int) -> int:
        """What each thread may sample, when closing and joining them must leave the answer's reserve."""
        empty = len(self._joined([[] for _ in range(threads)])) - len(self.path)
        return (self._room() - self.limits.answer_reserve - empty) // threads

    def _joined(self, bodies: list[list[int]]) -> list[int]:
        path = [*self.path, *self.tags.encode("\n")]
        for number, body in enumerate(bodies, 1):
            if body[-1:] and body[-1] in self.tags.eos_ids:
                body = body[:-1]
            close = [] if body[-1:] == [self.tags.thread_end] else self.tags.encode("\n</Thread>")
            path += self.tags.encode(f"<Thread>\n{number}:") + body + close
        return path + self.tags.encode("\n")

    def _block(self, block: int, threads: int) -> bool:
        """Threads and their join; True when one was aborted."""
        share = self._share(threads)
        budget = min(share, self.limits.max_thread_tokens)
        limit = "answer_reserve" if share < self.limits.max_thread_tokens else "max_thread_tokens"
        stops, aborted, bodies = {self.tags.thread_end, *self.tags.eos_ids}, False, []
        for number in range(1, threads + 1):
            context = [*self.path, *self.tags.encode(f"\n<Thread>\n{number}:")]
            ids, completion, _ = self._answer(context, stops, budget, limit, block, number)
            aborted = aborted or completion.finish_reason == "abort"
            bodies.append(ids)
        self.path = self._joined(bodies)
        return aborted
