"""How long an engine's steps take.

A step decodes one token of each of n sequences, which look at K tokens together, and computes p tokens of
prompts. It takes

    step + sequence · n + context · K + prompt · p        seconds

which on a GPU is: reading the weights, sampling, reading the KV cache, and multiplying.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ServiceTimes"]


@dataclass(frozen=True)
class ServiceTimes:
    """One engine.

    Attributes:
        step, sequence, context, prompt: seconds, see above.
        request: seconds that pass beside the steps from a request to its answer.
        kv_tokens: that its cache holds, in blocks of ``block_size``.
        max_sequences: that it decodes at once (vLLM's ``max_num_seqs``).
    """

    step: float
    sequence: float
    context: float
    prompt: float
    request: float
    kv_tokens: int
    block_size: int = 16
    max_sequences: int = 1024

    def decoding(self, steps: float, sequences: int, context: float) -> float:
        """Seconds of so many steps in which nothing comes and goes; the context grows by a token a sequence.

        Args:
            context: K before the first of them.
        """
        growth = self.context * sequences * steps * steps / 2
        return steps * self._first(sequences, context) + growth

    def steps_in(self, seconds: float, sequences: int, context: float) -> float:
        """The inverse of `decoding`, steps begun counted by their part."""
        first, growth = self._first(sequences, context), self.context * sequences
        return 2 * seconds / (first + math.sqrt(first * first + 2 * growth * seconds))

    def _first(self, sequences: int, context: float) -> float:
        return self.step + self.sequence * sequences + self.context * context
