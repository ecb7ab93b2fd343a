"""Clients at once for a while: each asks, checks its answer, and asks again; one does harm meanwhile."""

from __future__ import annotations

import asyncio
import random
import time

import httpx

from tests.load.asks import Ask, draw, said_in, said_in_stream
from tests.load.faults import FAULTS
from tests.load.figures import Figures, Memory
from tests.support.real_server import KEY, RealServer

__all__ = ["load"]

PATIENCE_S = 300.0  # for one answer
FAULT_EVERY_S, SAMPLE_EVERY_S = 0.5, 0.5


async def load(server: RealServer, clients: int, seconds: float, seed: int = 0, least: int = 0) -> Figures:
    """So many clients for so long; then each finishes what it asked for.

    Args:
        least: go on until so many asks were made, however slow the machine is.

    Returns:
        What was seen; `Figures.judge` says what is wrong with it.
    """
    run = _Run(server, clients, time.monotonic() + seconds, seed, least)
    await asyncio.gather(run.memory(), run.harm(), *(run.client(number) for number in range(clients)))
    return run.figures


class _Run:
    def __init__(self, server: RealServer, clients: int, deadline: float, seed: int, least: int) -> None:
        self._server, self._deadline, self._seed, self._least = server, deadline, seed, least
        self._asked, self._harmed = 0, False
        self.figures = Figures(Memory(server.process.pid), [[] for _ in range(clients)])

    def _open(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.AsyncClient(base_url=self._server.url, headers=headers, timeout=PATIENCE_S)

    @property
    def _goes_on(self) -> bool:
        return time.monotonic() < self._deadline or self._asked < self._least

    async def client(self, number: int) -> None:
        """One that asks one thing after the other."""
        rng = random.Random(f"{self._seed}/{number}")
        async with self._open() as client:
            while self._goes_on or not self._harmed:  # harm is done beside others, to the last
                ask = draw(self._server.rollouts, rng)
                self._asked += 1
                began = time.monotonic()
                try:
                    text = await _answered(client, ask)
                except (httpx.HTTPError, ValueError) as error:
                    self.figures.problems.append(f"client {number} lost {ask}: {error!r}")
                    continue
                self.figures.spans[number].append((began, time.monotonic()))
                if text != ask.text:
                    self.figures.problems.append(f"client {number} asked {ask} and got {text!r}")

    async def harm(self) -> None:
        """One fault after the other; the first at once, so that each is made in a short run too."""
        async with self._open() as client:
            while self._goes_on:
                for fault in FAULTS:
                    try:
                        wrong = await fault(client)
                    except (httpx.HTTPError, OSError) as error:
                        wrong = repr(error)
                    if wrong:
                        self.figures.problems.append(f"a client that {fault.__name__}: {wrong}")
                    self.figures.seen[f"clients: {fault.__name__.replace('_', ' ')}"] += 1
                    await asyncio.sleep(FAULT_EVERY_S)
        self._harmed = True

    async def memory(self) -> None:
        """Looked at now and then."""
        while self._goes_on or not self._harmed:
            self.figures.memory.sample()
            await asyncio.sleep(SAMPLE_EVERY_S)


async def _answered(client: httpx.AsyncClient, ask: Ask) -> str:
    """
    Raises:
        httpx.HTTPError, ValueError: there is no whole answer.
    """
    last = time.monotonic() + PATIENCE_S
    answer = await client.post(ask.path, json=ask.body)
    # the client that asks for too many was let in: nobody else was there
    while answer.status_code == 429 and time.monotonic() < last:
        await asyncio.sleep(float(answer.headers["Retry-After"]))
        answer = await client.post(ask.path, json=ask.body)
    answer.raise_for_status()
    return said_in_stream(answer.text.split("\n")) if ask.stream else said_in(answer.json())
