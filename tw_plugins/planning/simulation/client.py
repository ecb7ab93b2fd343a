"""What the processes beside the engines take of a CPU: measured, not simulated."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["FULL", "MEASURED", "ClientCosts", "needed"]

FULL = 0.7
"""Share of its time that a process may be busy: beyond, what comes at random waits for others to be done."""


@dataclass(frozen=True)
class ClientCosts:
    """CPU seconds.

    Attributes:
        request: of an agent-loop worker per request: state machine, router and engine called through Ray.
        trajectory: of an agent-loop worker per trajectory: row and summary.
        answer: of a grading process per trajectory.
        routing: of the router's process per request: its choice, called through Ray.
        driver: of the driver per trajectory: what this project adds there, metrics and advantage.
    """

    request: float
    trajectory: float
    answer: float
    routing: float
    driver: float

    def of_workers(self, trajectories: int, requests: int) -> float:
        """Of all agent-loop workers together in a step."""
        return requests * self.request + trajectories * self.trajectory


MEASURED = ClientCosts(request=0.7e-3, trajectory=4.5e-3, answer=1.2e-3, routing=0.3e-3, driver=2e-6)
"""`threadweaver bench scale --measure-client` on a core of an AMD EPYC with AVX-512.

Ray's calls are nearly all of `request` and `routing`; to choose among 512 replicas takes as long as among 8.
"""
FREE = ClientCosts(0, 0, 0, 0, 0)
"""As if all but the engines took no time."""


def needed(busy: float, seconds: float) -> int:
    """Processes that do work of `busy` seconds in a step of so many without being what it waits for."""
    return max(1, math.ceil(busy / (FULL * seconds)))
