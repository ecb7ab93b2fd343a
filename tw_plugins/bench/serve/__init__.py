"""What `threadweaver serve` costs beside vLLM's own server: the same problems, in turns, in both modes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tw_plugins.bench.serve.client import Ask, ask_all
from tw_plugins.bench.serve.processes import ServerProcess, ours, vllms_own
from tw_plugins.bench.timing import Spread
from tw_plugins.engines.cpu_args import cpu_args
from tw_plugins.evaluation.problems import decomposable_places
from tw_plugins.evaluation.run import EvalSettings, Prepared, prepare

__all__ = ["PLAIN", "WAYS", "ServeFigures", "WayFigures", "bench_serve"]

PLAIN = "vllm serve"
WAYS: dict[str, Ask] = {
    PLAIN: {},
    "autoregressive": {"mode": "autoregressive"},
    "parallel": {"mode": "parallel"},
}
"""What each way is asked; the first by vLLM's own server, the others by ours."""


@dataclass(frozen=True)
class WayFigures:
    """One way, over the repeats.

    Attributes:
        wall_clock: seconds over those of vLLM's own server in the same repeat.
        server_ms: CPU of the server's own process, for each answer.
        engine_ms: CPU of vLLM's engine, for each answer.
        orchestration: CPU of the server's own process beyond that of vLLM's own server for the same problems,
            as a share of the engine's. None of vLLM's own.
        tokens: sampled for each answer.
    """

    wall_clock: Spread
    server_ms: Spread
    engine_ms: Spread
    orchestration: Spread | None
    tokens: float


@dataclass(frozen=True)
class ServeFigures:
    """So many requests at a time, whole answers or streams."""

    batch: int
    stream: bool
    problems: int
    ways: dict[str, WayFigures]


@dataclass(frozen=True)
class _Run:
    """All problems, one way."""

    seconds: float
    server_s: float
    engine_s: float
    tokens: int


def bench_serve(
    model: str,
    data: Path,
    problems: int,
    max_tokens: int,
    batches: Sequence[int],
    repeats: int,
    progress: Callable[[str], None],
) -> list[ServeFigures]:
    """Greedy answers to the first decomposable problems of a file, by both servers, one after the other.

    The engines are told the same, and have no prefix cache, which would make the second way the faster one.

    Args:
        max_tokens: of an answer, at most.
        batches: requests at a time.
        repeats: of all ways, which take turns in being the first.
        progress: called with what is measured next.

    Raises:
        EvaluationError: model or data cannot be used, see `tw_plugins.evaluation.run.evaluate_model`.
        BenchError: a server does not start, or does not answer.
    """
    prepared = prepare(model, data, EvalSettings(max_tokens=max_tokens))
    places = decomposable_places(prepared.problems)[:problems]
    prompts = [prepared.problems[place].prompt_ids for place in places]
    engine_args = _engine_args(prepared)
    progress("the servers start")
    with vllms_own(model, engine_args) as plain, ours(model, engine_args) as own:
        servers = {way: plain if way == PLAIN else own for way in WAYS}
        for way in WAYS:  # warm-up
            _run(servers[way], prompts[:1], 1, _ask(way, prepared, stream=False))
        found = []
        for batch in batches:
            for stream in (False, True):
                progress(f"{batch} at a time, {'streams' if stream else 'whole answers'}")
                asks = {way: _ask(way, prepared, stream) for way in WAYS}
                runs = _in_turns(servers, prompts, batch, asks, repeats)
                ways = {way: _figures(runs[way], runs[PLAIN], len(prompts), way) for way in WAYS}
                found.append(ServeFigures(batch, stream, len(prompts), ways))
    return found


def _engine_args(prepared: Prepared) -> dict[str, object]:
    given = {"max_model_len": prepared.engine_args["max_model_len"], "enable_prefix_caching": False}
    return {**cpu_args(given, seed_requests=True), **given}


def _ask(way: str, prepared: Prepared, stream: bool) -> Ask:
    return {**WAYS[way], "max_tokens": prepared.limits.max_tokens, "stream": stream}


def _in_turns(
    servers: Mapping[str, ServerProcess],
    prompts: Sequence[Sequence[int]],
    batch: int,
    asks: Mapping[str, Ask],
    repeats: int,
) -> dict[str, list[_Run]]:
    runs: dict[str, list[_Run]] = {way: [] for way in WAYS}
    for repeat in range(repeats):
        for way in list(WAYS) if repeat % 2 == 0 else reversed(list(WAYS)):
            runs[way].append(_run(servers[way], prompts, batch, asks[way]))
    return runs


def _run(server: ServerProcess, prompts: Sequence[Sequence[int]], batch: int, ask: Ask) -> _Run:
    own, engine = server.cpu_s()
    start = time.perf_counter()
    tokens = asyncio.run(ask_all(server.url, prompts, batch, ask))
    seconds = time.perf_counter() - start
    own_after, engine_after = server.cpu_s()
    return _Run(seconds, own_after - own, engine_after - engine, tokens)


def _figures(runs: Sequence[_Run], plain: Sequence[_Run], problems: int, way: str) -> WayFigures:
    pairs = list(zip(runs, plain, strict=True))
    more = [(run.server_s - other.server_s) / run.engine_s for run, other in pairs if run.engine_s]
    return WayFigures(
        wall_clock=Spread.of([run.seconds / other.seconds for run, other in pairs]),
        server_ms=Spread.of([1e3 * run.server_s / problems for run in runs]),
        engine_ms=Spread.of([1e3 * run.engine_s / problems for run in runs]),
        orchestration=None if way == PLAIN or not more else Spread.of(more),
        tokens=runs[0].tokens / problems,
    )
