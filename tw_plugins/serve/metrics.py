"""What Prometheus is told: requests, tokens, forks and times, in a registry of each server's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tw_plugins.serve.events import Ended

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """
    Args:
        running: says how many trajectories are under way.
    """

    def __init__(self, running: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = self._of(Counter, "requests", "Requests that were answered", "path", "status")
        self._tokens = self._of(
            Counter, "tokens", "Tokens of prompts, sampled, and one after the other", "kind"
        )
        self._answers = self._of(Counter, "answers", "Answers that are whole", "mode", "finish_reason")
        self._forks = self._of(Counter, "forks", "Forks that were made")
        self._threads = self._of(Counter, "threads", "Threads of forks")
        self._malformed = self._of(Counter, "malformed_forks", "Forks that could not be read")
        self._limits = self._of(Counter, "limits_hit", "Limits that were hit", "limit")
        self.first = self._of(Histogram, "first_text_seconds", "From a streamed request to its first text")
        self.whole = self._of(Histogram, "answer_seconds", "From a request to the end of its answer")
        gauge: Gauge = self._of(Gauge, "running", "Trajectories under way")
        gauge.set_function(running)

    def _of(self, kind: type, name: str, text: str, *labels: str) -> Any:
        more = {"buckets": SECONDS} if kind is Histogram else {}
        return kind(f"threadweaver_{name}", text, labels, registry=self._registry, **more)

    def ended(self, one: Ended, mode: str) -> None:
        """An answer is whole."""
        self._answers.labels(mode, one.finish_reason).inc()
        self._tokens.labels("sampled").inc(one.latency.total)
        self._tokens.labels("longest").inc(one.latency.longest)
        self._forks.inc(one.latency.blocks)
        self._threads.inc(one.latency.threads)
        self._malformed.inc(one.malformed_forks)
        for limit, count in one.limits_hit.items():
            self._limits.labels(limit).inc(count)

    def prompts(self, tokens: int) -> None:
        """A request's prompts were read."""
        self._tokens.labels("prompt").inc(tokens)

    def page(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
