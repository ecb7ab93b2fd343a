"""`threadweaver bench …` for people: each benchmark's cases and its table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.text import Text

from tw_plugins.bench import BenchError
from tw_plugins.bench.collate import CollateFigures, bench_collate
from tw_plugins.bench.engine import EngineFigures, ReplicaFigures, bench_engine, bench_replicas
from tw_plugins.bench.head import VOCABULARY, HeadFigures, bench_head
from tw_plugins.bench.programs import KINDS, ProgramFigures, bench_programs
from tw_plugins.bench.reward import RewardFigures, bench_reward
from tw_plugins.bench.rollout import RolloutFigures, bench_rollout
from tw_plugins.bench.shapes import SHAPES, Shape
from tw_plugins.bench.step import StepError, StepFigures, bench_step
from tw_plugins.bench.update import MODELS, ROWS, ModelShape, UpdateFigures, bench_update, device_named
from tw_plugins.cli.bench_output import Output, between, machine_of_vllm, mib, ratio, seconds
from tw_plugins.cli.tables import Figures
from tw_plugins.evaluation.provenance import Machine
from tw_plugins.verifiers.code import sandbox

__all__ = [
    "collate",
    "engine",
    "head",
    "model_named",
    "replicas",
    "reward",
    "rollout",
    "shape_named",
    "step",
    "update",
]

T = TypeVar("T")


def shape_named(name: str) -> Shape:
    """One of `SHAPES`.

    Raises:
        BenchError: there is none of that name.
    """
    return _named("--shape", name, SHAPES)


def model_named(name: str) -> ModelShape:
    """One of `MODELS`.

    Raises:
        BenchError: there is none of that name.
    """
    return _named("--model", name, MODELS)


def _named(option: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise BenchError(f"{option} is {name!r}: choose one of {', '.join(choices)}")
    return choices[name]


def update(
    shapes: Sequence[Shape],
    model: ModelShape,
    tokens: Sequence[int],
    repeats: int,
    device: str | None,
    output: Output,
) -> None:
    """Trie row against rows, forward and backward.

    Raises:
        BenchError: the device is not there.
    """
    where = device_named(device)
    cases = [
        (
            f"{shape.name}, {n} tokens",
            partial(bench_update, shape.scaled(n), model, repeats, where),
        )
        for shape in shapes
        for n in tokens
    ]
    figures: list[UpdateFigures] = output.measure("update", cases)
    shown = Figures("shape", "tokens", "way", "median", "against the first", "limit", "computed", "memory")
    for each in figures:
        for name, timing in each.timings.items():
            rows = name == ROWS
            limit, computed = (f"{each.limit:.2f}×", each.rows_tokens) if rows else ("", each.trie_tokens)
            cells = (seconds(timing.seconds), ratio(timing), limit, str(computed), mib(each.memory[name]))
            shown.add_row(each.shape, str(each.tokens), name, *cells)
        shown.add_section()
    settings = (
        f"{where}: {model.layers} Qwen3 layers of width {model.hidden}; median of {repeats} turns; "
        f"limit: ratio of the multiplications\n" + "\n".join(map(_described, shapes))
    )
    output.show("update", shown, settings, figures, Machine.here(on_gpu=where == "cuda"))


def collate(shape: Shape, tokens: Sequence[int], repeats: int, output: Output) -> None:
    """Token ids to a batch."""
    cases = [(f"{n} tokens", lambda n=n: bench_collate(shape.scaled(n), repeats)) for n in tokens]
    figures: list[CollateFigures] = output.measure("collate", cases)
    shown = Figures("tokens", "way", "median", "against the first", "examples/s", "memory")
    for each in figures:
        for name, timing in each.timings.items():
            cells = (ratio(timing), f"{1 / timing.seconds:.0f}", mib(each.memory[name]))
            shown.add_row(str(each.tokens), name, seconds(timing.seconds), *cells)
        shown.add_section()
    settings = f"one example; {_described(shape)}; median of {repeats} turns"
    output.show("collate", shown, settings, figures, Machine.here())


def head(
    tokens: Sequence[int], hidden: int, chunk: int, repeats: int, device: str | None, output: Output
) -> None:
    """Log-probs from the output head.

    Raises:
        BenchError: the device is not there.
    """
    where = device_named(device)
    cases = [(f"{n} tokens", partial(bench_head, n, hidden, chunk, repeats, where)) for n in tokens]
    figures: list[HeadFigures] = output.measure("head", cases)
    shown = Figures("tokens", "way", "median", "against the first", "memory")
    for each in figures:
        for name, timing in each.timings.items():
            cells = (seconds(timing.seconds), ratio(timing), mib(each.memory[name]))
            shown.add_row(str(each.tokens), name, *cells)
        shown.add_section()
    settings = (
        f"{where}: {hidden} wide, {VOCABULARY:,} ids, chunks of {chunk} tokens; forward and backward, median "
        f"of {repeats} turns"
    )
    output.show("head", shown, settings, figures, Machine.here(on_gpu=where == "cuda"))


def rollout(shape: Shape, trajectories: Sequence[int], repeats: int, output: Output) -> None:
    """The state machine on an engine without cost."""
    cases = [(f"{n} trajectories", lambda n=n: bench_rollout(shape, n, repeats)) for n in trajectories]
    figures: list[RolloutFigures] = output.measure("rollout", cases)
    shown = Figures(
        "trajectories",
        "CPU per request",
        "against the first",
        "requests",
        "kept per trajectory",
        "peak per trajectory",
    )
    first = figures[0].cpu_s_per_request.median
    for each in figures:
        shown.add_row(
            str(each.trajectories),
            between(each.cpu_s_per_request, "{:.3f}", " ms", times=1e3),
            f"{each.cpu_s_per_request.median / first:.2f}×",
            str(each.requests),
            f"{each.kept_bytes / 1024:.0f} KiB",
            f"{each.peak_bytes / 1024:.0f} KiB",
        )
    settings = (
        f"all at once, prepared answers; {shape.tokens} tokens, {_described(shape)}; median of {repeats}"
    )
    output.show("rollout", shown, settings, figures, Machine.here())


def reward(
    answers: int,
    hostile: Sequence[int],
    processes: int,
    deadline_s: float,
    programs: int,
    repeats: int,
    output: Output,
) -> None:
    """Grading with the worker pool, and programs in the sandbox.

    Raises:
        BenchError: more hostile answers than answers.
    """
    if max(hostile) >= answers:
        raise BenchError(f"--hostile is {max(hostile)}: must be less than --answers, {answers}")
    cases = [
        (f"{n} hostile", lambda n=n: bench_reward(answers, n, processes, deadline_s, repeats))
        for n in hostile
    ]
    figures: list[RewardFigures] = output.measure("reward", cases)
    shown = Figures("hostile", "answers/s", "honest: median", "slowest", "wrong", "processes replaced")
    for each in figures:
        shown.add_row(
            f"{each.hostile} of {each.answers}",
            between(each.per_s, "{:.0f}", ""),
            between(each.median_s, "{:.2f}", " ms", times=1e3),
            between(each.slowest_s, "{:.2f}", " s"),
            str(each.wrong),
            str(each.replaced),
        )
    judged = _programs(programs, processes, repeats, output)
    settings = f"math-verify in {processes} processes, deadline {deadline_s:g} s; median of {repeats}"
    output.show("reward", shown, settings, [*figures, *judged], Machine.here())


def _programs(programs: int, at_once: int, repeats: int, output: Output) -> list[ProgramFigures]:
    if not programs or (why := sandbox.problem()):
        output.console.print(f"programs are left out: {why if programs else '--programs 0'}")
        return []
    cases = [(kind, lambda kind=kind: bench_programs(kind, programs, at_once, repeats)) for kind in KINDS]
    figures: list[ProgramFigures] = output.measure("programs", cases)
    shown = Figures("tests of a program", "programs/s", "median", "slowest", "wrong")
    for each in figures:
        shown.add_row(
            each.kind,
            between(each.per_s, "{:.1f}", ""),
            between(each.median_s, "{:.0f}", " ms", times=1e3),
            between(each.slowest_s, "{:.2f}", " s"),
            str(each.wrong),
        )
    output.console.print(shown)
    output.console.print(f"{programs} programs, each in a sandbox of its own, {at_once} at once")
    return figures


def engine(
    model: str, data: Path, problems: int, batches: Sequence[int], repeats: int, output: Output
) -> None:
    """Fork-join on the real vLLM."""
    _quiet_vllm()
    with output.console.working("vLLM starts") as status:
        figures: list[EngineFigures] = bench_engine(
            model,
            data,
            problems,
            batches,
            repeats,
            lambda batch: status.update(f"batch size {batch} …"),
        )
    shown = Figures(
        "batch", "wall clock", "token latency", "reached", "orchestrator", "cache hits", "of possible"
    )
    for each in figures:
        shown.add_row(
            str(each.batch),
            between(each.wall_clock, "{:.2f}", "×"),
            between(each.token_latency, "{:.2f}", "×"),
            f"{each.wall_clock.median / each.token_latency.median:.0%}",
            between(each.orchestrator, "{:.2f}", " %", times=100),
            f"{each.hits} of {each.asked}",
            f"{each.hits / each.possible:.1%}" if each.possible else "–",
        )
    settings = (
        f"parallel against autoregressive, {figures[0].problems} decomposable problems, greedy; "
        f"median of {repeats}; orchestrator: its CPU time, of the wall clock"
    )
    output.show("engine", shown, settings, figures, machine_of_vllm())


def replicas(
    model: str, data: Path, problems: int, batches: Sequence[int], count: int, output: Output
) -> None:
    """Prefix-cache hits of several engines."""
    _quiet_vllm()
    cases = [
        (f"batch size {n}", lambda n=n: bench_replicas(model, data, problems, n, count)) for n in batches
    ]
    figures: list[ReplicaFigures] = output.measure(f"{count} engines", cases)
    shown = Figures("batch", "request ids", "cache hits", "of possible")
    for each in figures:
        for name, hits in (("per trajectory", each.sticky_hits), ("per request", each.spread_hits)):
            share = Text(f"{hits / each.possible:.1%}", "bold") if each.possible else "–"
            shown.add_row(str(each.batch), name, f"{hits} of {each.asked}", share)
    settings = f"{count} engines, {figures[0].problems} decomposable problems, greedy, parallel"
    output.show("replicas", shown, settings, figures, machine_of_vllm())


def _quiet_vllm() -> None:
    """Before vLLM is imported: its log would hide the status line."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def step(runs: Sequence[Path], output: Output) -> None:
    """Where the time of RL steps goes.

    Raises:
        BenchError: a file that is not of an RL run.
    """
    try:
        figures: list[StepFigures] = [bench_step(run) for run in runs]
    except StepError as error:
        raise BenchError(str(error)) from error
    shown = Figures("", *(f"run {number}" for number, _ in enumerate(figures, 1)))
    first = figures[0]
    for phase in first.phases:
        cells = (
            _phase(each.phases[phase], each.total, first.phases[phase], each is first) for each in figures
        )
        shown.add_row(phase, *cells)
    shown.add_section()
    shown.add_row("whole step", *(_phase(each.total, None, first.total, each is first) for each in figures))
    output.show("step", shown, "medians; share of the step; against run 1", figures, machine=None)
    for number, each in enumerate(figures, 1):
        output.console.print(
            f"run {number}: {each.framework}, {each.steps} steps, {each.run}", soft_wrap=True
        )


def _phase(spent: float, total: float | None, of_first: float, is_first: bool) -> Text:
    """Seconds, their share of the step, and the ratio to the first run's where that says something."""
    share = "" if total is None else f" {spent / total:4.0%}"
    against = "" if is_first or of_first < 0.1 else f"  {spent / of_first:.2f}×"
    return Text.assemble(f"{spent:.2f} s{share}", (against, "bold"))


def _described(shape: Shape) -> str:
    threads = ", ".join(map(str, shape.threads))
    return (
        f"{shape.name}: {len(shape.threads)} blocks of {threads} threads, {shape.in_threads:.0%} in threads"
    )
