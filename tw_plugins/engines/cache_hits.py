"""vLLM's own count of prefix-cache hits, engine by engine.

Not its Prometheus counters: vLLM drops those of an engine when another one is made in the same process.
"""

from __future__ import annotations

from typing import Any, Self


class CacheHits:
    """A logger for `AsyncLLM(stat_loggers=[…])`, which calls it to get one (`vllm/v1/metrics/loggers.py`).

    Attributes:
        tokens: prompt tokens served from the prefix cache so far.
    """

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, vllm_config: Any, engine_index: int = 0) -> Self:
        return self

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        """What one step of the engine reports."""
        if scheduler_stats is not None:
            self.tokens += scheduler_stats.prefix_cache_stats.hits

    def log_engine_initialized(self) -> None:
        """Nothing to say."""

    def log(self) -> None:
        """Nothing to say."""

    def record_sleep_state(self, is_awake: int, level: int) -> None:
        """Nothing to say."""
