"""A server in a thread with an engine that answers each prompt in its own way, an id at a time."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self

import httpx
import uvicorn

from tests.support.fakes import EOS, Request, char_tokenizer, control_tokens
from tw_plugins.engines.sampling import Sampling
from tw_plugins.rollout import Completion, Piece
from tw_plugins.serve.app import make_app
from tw_plugins.serve.served import Served
from tw_plugins.serve.server import bound, config_of, shown

TOKENIZER = char_tokenizer()
TOKENIZER.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}<|im_end|>"
TAGS = control_tokens(TOKENIZER)
TURN = EOS  # ends the prompt


def segments(question: str) -> tuple[str, tuple[str, str], str]:
    """What is said before the fork, by the threads and behind it."""
    opening = (
        f"<think>of {question}\n<Parallel>\n<Outlines>\n<Outline>1: a</Outline>\n<Outline>2: b</Outline>\n"
    )
    threads = (f" first {question}\n</Thread>", f" the second thread of {question}\n</Thread>")
    return f"{opening}</Outlines>", threads, f"</Parallel>\nso</think>It is {question}.{EOS}"


def joined(question: str) -> str:
    """The whole text, without its end."""
    opening, (one, two), closing = segments(question)
    return f"{opening}\n<Thread>\n1:{one}<Thread>\n2:{two}\n{closing.removesuffix(EOS)}"


def thought(question: str) -> str:
    """What stands between ``<think>`` and ``</think>``."""
    return joined(question).removeprefix("<think>").split("</think>")[0]


@dataclass
class Talker:
    """Says what `segments` has for the prompt.

    Args:
        pace_s: between ids.
        fails: raised at the request of this number, from 0.

    Attributes:
        requests, samplings: what was asked, and how.
        under_way, cancelled, most: requests now, those that were broken off, and the most at a time.
        may_go: until it is set nothing is said beyond the first id of a request.
    """

    pace_s: float = 0.0
    fails: dict[int, Exception] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: {"under_way": 0, "cancelled": 0, "most": 0})
    may_go: threading.Event = field(default_factory=threading.Event)
    alive: bool = True
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        self.may_go.set()

    async def is_up(self) -> bool:
        return self.alive

    def with_sampling(self, sampling: Sampling) -> Self:
        view = copy(self)
        view.sampling = sampling
        return view

    async def generate(self, prompt_ids: Sequence[int], **asked: Any) -> Completion:
        pieces = [piece async for piece in self.stream(prompt_ids, **asked)]
        ids = [token for piece in pieces for token in piece.token_ids]
        return Completion(ids, [-0.5] * len(ids), pieces[-1].finish_reason or "abort")

    async def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncGenerator[Piece, None]:
        number = len(self.requests)
        self.requests.append(Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id))
        self.samplings.append(self.sampling)
        self.counts["under_way"] += 1
        self.counts["most"] = max(self.counts["most"], self.counts["under_way"])
        whole = False
        try:
            if number in self.fails:
                raise self.fails[number]
            ids = self._ids(TAGS.decode(prompt_ids), set(stop_token_ids))
            for place, token in enumerate(ids[:max_tokens]):
                yield Piece([token], [-0.5])
                while place == 0 and not self.may_go.is_set():
                    await asyncio.sleep(0.01)
                await asyncio.sleep(self.pace_s)
            whole = True
            yield Piece([], [], "stop" if len(ids) <= max_tokens else "length")
        finally:
            self.counts["under_way"] -= 1
            self.counts["cancelled"] += not whole

    def _ids(self, prompt: str, stops: set[int]) -> list[int]:
        question, _, said = prompt.partition(TURN)
        opening, threads, closing = segments(question)
        if TAGS.thread_end in stops:
            return TAGS.encode(threads[int(re.findall(r"(\d+):$", prompt)[0]) - 1])
        if TAGS.outlines_end not in stops:  # autoregressively
            return TAGS.encode(joined(question) + EOS)
        return TAGS.encode(closing if "</Thread>" in said else opening)


def served(engine: Any, **more: Any) -> Served:
    return replace(Served("toy", TOKENIZER, TAGS, engine, context=1000), **more)


@contextmanager
def running(what: Served) -> Iterator[Running]:
    """Up and answering."""
    with bound("127.0.0.1", 0) as at:
        server = uvicorn.Server(config_of(make_app(what)))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[at])), daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        try:
            yield Running(shown(at), server, thread)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@dataclass
class Running:
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    def post(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=30)

    def chat(self, question: str, **body: Any) -> httpx.Response:
        return self.post("/v1/chat/completions", messages=[{"role": "user", "content": question}], **body)

    def events(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Of a stream, to its end."""
        with httpx.stream("POST", self.url + path, json={**body, "stream": True}, timeout=30) as answer:
            lines = [line for line in answer.iter_lines() if line]
        assert answer.status_code == 200 and lines[-1] == "data: [DONE]", lines[-1:]
        return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]

    def chat_events(self, question: str, **body: Any) -> list[dict[str, Any]]:
        return self.events("/v1/chat/completions", messages=[{"role": "user", "content": question}], **body)


def wait_until(what: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)
