"""`threadweaver eval clock`: two models in, one line per problem and the median of the ratios out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from tw_plugins.cli.progress import progress_bars
from tw_plugins.engines import VLLMEngine
from tw_plugins.engines.choice import quiet_vllm
from tw_plugins.engines.placement import side_by_side
from tw_plugins.evaluation.clock.figures import clock_figures, clock_line
from tw_plugins.evaluation.clock.file import SUMMARY, append_pair, clock_file, salvage_pairs
from tw_plugins.evaluation.clock.pairs import Pair, Side, time_pairs
from tw_plugins.evaluation.problems import EvalProblem, decomposable_places
from tw_plugins.evaluation.resume import asked_for, check_settings, missing
from tw_plugins.evaluation.run import EvalSettings, Prepared, prepare
from tw_plugins.rollout import Limits, Mode
from tw_plugins.storage.atomic import write_text

__all__ = ["SUMMARY", "clock_models", "run"]

logger = logging.getLogger(__name__)

MODES: tuple[Mode, Mode] = ("parallel", "autoregressive")
WARM_UP = 2  # problems decoded by both before the clock is read
HALF = {"gpu_memory_utilization": 0.45}  # two engines on one GPU


def run(
    model: str,
    baseline: str,
    data: Path | str,
    out: Path,
    problems: int,
    settings: EvalSettings,
    console: Console,
) -> dict[str, Any]:
    """:func:`clock_models` with a progress bar; writes ``out/summary.json`` and prints a line."""
    quiet_vllm()
    with progress_bars(console, transient=True) as bars:
        bar = bars.add_task("pairs", total=problems)
        figures = clock_models(model, baseline, data, out, problems, settings, lambda pair: bars.advance(bar))
    write_text(out / SUMMARY, json.dumps(figures, indent=2) + "\n")
    console.print(clock_line(figures), soft_wrap=True)
    return figures


def clock_models(
    model: str,
    baseline: str,
    data: Path | str,
    out: Path,
    problems: int,
    settings: EvalSettings,
    progress: Callable[[Pair], None],
) -> dict[str, Any]:
    """Times ``model`` in parallel mode against ``baseline`` in autoregressive mode, with vLLM for both.

    The first decomposable problems of the file are timed (the first of all where none is). Each pair is
    appended to ``out/clock.jsonl``; pairs of the same settings that are there already are not timed again.

    Args:
        problems: how many; all where the file has fewer.
        progress: called with every pair, those that are there first.

    Returns:
        :func:`tw_plugins.evaluation.clock.figures.clock_figures`.

    Raises:
        FileNotFoundError: there is no data file.
        ResumeError: `out` holds pairs of other models, problems or settings.
        RecordError: a line of the file is no pair.
        ControlTokenError, EvaluationError, EngineError: as `tw_plugins.evaluation.run.evaluate_model`.
    """
    prepared = [prepare(name, data, settings) for name in (model, baseline)]
    every = prepared[0].problems
    places = decomposable_places(every)
    chosen = [every[place] for place in places[:problems]]
    check_settings(out, {"model": model, "baseline": baseline, "data": str(data), **settings.sampling()})
    there = salvage_pairs(clock_file(out))
    wanted = {problem.index for problem in chosen}
    todo = [problem for problem in missing(every, there, samples=1) if problem.index in wanted]
    for pair in asked_for(chosen, there, samples=1):
        progress(pair)

    def keep(pair: Pair) -> None:
        append_pair(pair, clock_file(out))
        progress(pair)

    if todo:
        warm_up = [every[place] for place in (places[problems:] or places)[-WARM_UP:]]
        _time_on_vllm(prepared, (model, baseline), todo, warm_up, keep, len(there))
    return clock_figures(asked_for(chosen, salvage_pairs(clock_file(out)), samples=1), problems)


def _time_on_vllm(
    prepared: list[Prepared],
    models: tuple[str, str],
    todo: list[EvalProblem],
    warm_up: list[EvalProblem],
    keep: Callable[[Pair], None],
    done: int,
) -> None:
    """Both engines at once, with the same limits; the one that does not decode waits without using a CPU."""
    limits = min((ready.limits for ready in prepared), key=lambda limits: limits.max_tokens)
    with ExitStack() as stack:
        own, baseline = (
            _side(stack.enter_context(VLLMEngine(model, **(HALF | ready.engine_args))), ready, limits, mode)
            for model, ready, mode in zip(models, prepared, MODES, strict=True)
        )
        if not stack.enter_context(_same_cpus()):
            logger.warning("the engines may run on different CPUs: set OMP_NUM_THREADS below their number")
        asyncio.run(time_pairs(own, baseline, todo, warm_up, keep, done))


def _same_cpus() -> AbstractContextManager[bool]:
    """Where CPUs decode, both engines get the same; False where they cannot."""
    import torch

    if torch.cuda.is_available():
        return nullcontext(True)
    return side_by_side(torch.get_num_threads())


def _side(engine: VLLMEngine, ready: Prepared, limits: Limits, mode: Mode) -> Side:
    prompts = {problem.index: problem.prompt_ids for problem in ready.problems}
    return Side(engine, ready.tags, limits, mode, prompts)
