"""From measured runs of an engine to its `ServiceTimes`: least squares, nothing below 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from tw_plugins.planning.simulation.service import ServiceTimes

__all__ = ["Measured", "fit"]


@dataclass(frozen=True)
class Measured:
    """`sequences` equal requests at once to an idle engine: prompt of `prompt` tokens, nothing of it cached,
    `tokens` to sample; all were answered within `seconds`.
    """

    sequences: int
    prompt: int
    tokens: int
    seconds: float

    @property
    def factors(self) -> tuple[float, ...]:
        """Of step, sequence, context, prompt and request, in `ServiceTimes`' order."""
        n, p, m = self.sequences, self.prompt, self.tokens
        return m, n * m, n * (p * m + m * m / 2), n * p, 1.0


def fit(runs: Sequence[Measured], kv_tokens: int, block_size: int) -> ServiceTimes:
    """The times that explain the runs best, each run's error as a share of its seconds."""
    seconds = np.array([run.seconds for run in runs])
    factors = np.array([run.factors for run in runs]) / seconds[:, None]
    scale = factors.max(axis=0)  # columns of one size, or the solver takes small ones for nothing
    found = nnls(factors / scale, np.ones(len(runs)))[0] / scale
    step, sequence, context, prompt, request = map(float, found)
    return ServiceTimes(step, sequence, context, prompt, request, kv_tokens, block_size)
