"""`threadweaver bench …` for people: progress, a table with the ratios first, JSON on request."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table

from tw_plugins.bench.collate import CollateFigures, bench_collate
from tw_plugins.bench.engine import EngineFigures, ReplicaFigures, bench_engine, bench_replicas
from tw_plugins.bench.reward import RewardFigures, bench_reward
from tw_plugins.bench.rollout import RolloutFigures, bench_rollout
from tw_plugins.bench.shapes import SHAPES, Shape
from tw_plugins.bench.step import StepError, StepFigures, bench_step
from tw_plugins.bench.timing import Timing
from tw_plugins.bench.update import MODELS, ROWS, ModelShape, UpdateFigures, bench_update

__all__ = [
    "BenchError",
    "Output",
    "collate",
    "engine",
    "model_named",
    "replicas",
    "reward",
    "rollout",
    "shape_named",
    "step",
    "update",
]

MIB = 1 << 20
T = TypeVar("T")


class BenchError(ValueError):
    """A setting of the benchmark that cannot be used."""


@dataclass(frozen=True)
class Output:
    """Where figures go: the console, and a JSON file if one is named."""

    console: Console
    json_out: Path | None

    def measure(self, title: str, cases: Iterable[tuple[str, Callable[[], Any]]]) -> list[Any]:
        """Run each case under a status line."""
        found = []
        for name, case in cases:
            with self.console.status(f"{title}: {name} …"):
                found.append(case())
        return found

    def show(
        self, title: str, table: Table, settings: str, figures: Sequence[Any], here: bool = True
    ) -> None:
        """Print, and write the figures of this benchmark; with the machine if they were measured `here`."""
        self.console.print(table)
        self.console.print(f"{settings}; {machine()}" if here else settings, highlight=False)
        if self.json_out:
            text = {"benchmark": title, "figures": [asdict(each) for each in figures]}
            text |= {"machine": machine()} if here else {}
            self.json_out.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")


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


def update(shape: Shape, model: ModelShape, tokens: Sequence[int], repeats: int, output: Output) -> None:
    """Trie row against rows, forward and backward."""
    cases = [(f"{n} tokens", lambda n=n: bench_update(shape.scaled(n), model, repeats)) for n in tokens]
    figures: list[UpdateFigures] = output.measure("update", cases)
    table = _table("tokens", "way", "median", "against the first", "limit", "computed", "memory")
    for each in figures:
        for name, timing in each.timings.items():
            rows = name == ROWS
            limit, computed = (f"{each.limit:.2f}×", each.rows_tokens) if rows else ("", each.trie_tokens)
            memory = f"{each.memory[name] / MIB:.0f} MiB"
            figure = (_seconds(timing.seconds), _ratio(timing), limit, str(computed), memory)
            table.add_row(str(each.tokens), name, *figure)
        table.add_section()
    layers = f"{model.layers} Qwen3 layers of width {model.hidden}"
    settings = f"{layers}; {_blocks(shape)}; median of {repeats} turns; limit: ratio of the multiplications"
    output.show("update", table, settings, figures)


def collate(shape: Shape, tokens: Sequence[int], repeats: int, output: Output) -> None:
    """Token ids to a batch."""
    cases = [(f"{n} tokens", lambda n=n: bench_collate(shape.scaled(n), repeats)) for n in tokens]
    figures: list[CollateFigures] = output.measure("collate", cases)
    table = _table("tokens", "way", "median", "against the first", "examples/s", "memory")
    for each in figures:
        for name, timing in each.timings.items():
            memory = f"{each.memory[name] / MIB:.0f} MiB"
            rate = f"{1 / timing.seconds:.0f}"
            table.add_row(str(each.tokens), name, _seconds(timing.seconds), _ratio(timing), rate, memory)
        table.add_section()
    output.show("collate", table, f"one example; {_blocks(shape)}; median of {repeats} turns", figures)


def rollout(shape: Shape, trajectories: Sequence[int], repeats: int, output: Output) -> None:
    """The state machine on an engine without cost."""
    cases = [(f"{n} trajectories", lambda n=n: bench_rollout(shape, n, repeats)) for n in trajectories]
    figures: list[RolloutFigures] = output.measure("rollout", cases)
    table = _table(
        "trajectories", "CPU per request", "requests", "kept per trajectory", "peak per trajectory"
    )
    for each in figures:
        table.add_row(
            str(each.trajectories),
            f"[bold]{each.cpu_s_per_request * 1e3:.3f} ms[/]",
            str(each.requests),
            f"{each.kept_bytes / 1024:.0f} KiB",
            f"{each.peak_bytes / 1024:.0f} KiB",
        )
    settings = f"all at once, prepared answers; {shape.tokens} tokens, {_blocks(shape)}; median of {repeats}"
    output.show("rollout", table, settings, figures)


def reward(answers: int, hostile: Sequence[int], processes: int, deadline_s: float, output: Output) -> None:
    """Grading with the worker pool."""
    cases = [(f"{n} hostile", lambda n=n: bench_reward(answers, n, processes, deadline_s)) for n in hostile]
    figures: list[RewardFigures] = output.measure("reward", cases)
    table = _table("hostile", "answers/s", "honest: median", "slowest", "wrong", "processes replaced")
    for each in figures:
        table.add_row(
            f"{each.hostile} of {each.answers}",
            f"[bold]{each.per_s:.0f}[/]",
            _seconds(each.median_s),
            _seconds(each.slowest_s),
            str(each.wrong),
            str(each.replaced),
        )
    output.show("reward", table, f"math-verify in {processes} processes, deadline {deadline_s:g} s", figures)


def engine(model: str, data: Path, problems: int, batches: Sequence[int], output: Output) -> None:
    """Fork-join on the real vLLM."""
    _quiet_vllm()
    with output.console.status("engine: vLLM starts …") as status:
        figures: list[EngineFigures] = bench_engine(
            model, data, problems, batches, lambda batch: status.update(f"engine: batch size {batch} …")
        )
    table = _table(
        "batch", "wall clock", "token latency", "reached", "outside vLLM", "cache hits", "of possible"
    )
    for each in figures:
        table.add_row(
            str(each.batch),
            f"[bold]{each.wall_clock:.2f}×[/]",
            f"{each.token_latency:.2f}×",
            f"{each.wall_clock / each.token_latency:.0%}",
            f"{each.outside_engine:.1%}",
            f"{each.hits} of {each.asked}",
            f"{each.hits / each.possible:.1%}" if each.possible else "–",
        )
    settings = f"parallel against autoregressive, {figures[0].problems} decomposable problems, greedy"
    output.show("engine", table, settings, figures)


def replicas(
    model: str, data: Path, problems: int, batches: Sequence[int], count: int, output: Output
) -> None:
    """Prefix-cache hits of several engines."""
    _quiet_vllm()
    cases = [
        (f"batch size {n}", lambda n=n: bench_replicas(model, data, problems, n, count)) for n in batches
    ]
    figures: list[ReplicaFigures] = output.measure(f"{count} engines", cases)
    table = _table("batch", "request ids", "cache hits", "of possible")
    for each in figures:
        for name, hits in (("per trajectory", each.sticky_hits), ("per request", each.spread_hits)):
            share = f"[bold]{hits / each.possible:.1%}[/]" if each.possible else "–"
            table.add_row(str(each.batch), name, f"{hits} of {each.asked}", share)
    settings = f"{count} engines, {figures[0].problems} decomposable problems, greedy, parallel"
    output.show("replicas", table, settings, figures)


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
    table = _table("", *(f"run {number}" for number, _ in enumerate(figures, 1)))
    first = figures[0]
    for phase in first.phases:
        cells = (
            _phase(each.phases[phase], each.total, first.phases[phase], each is first) for each in figures
        )
        table.add_row(phase, *cells)
    table.add_section()
    table.add_row("whole step", *(_phase(each.total, None, first.total, each is first) for each in figures))
    output.show("step", table, "medians; share of the step; against run 1", figures, here=False)
    for number, each in enumerate(figures, 1):
        output.console.print(
            f"run {number}: {each.framework}, {each.steps} steps, {each.run}", highlight=False
        )


def machine() -> str:
    """``x86_64 CPU, 2 threads, torch 2.13.0+cpu``."""
    import torch

    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _table(first: str, *names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in (first, *names):
        table.add_column(name, justify="right")
    return table


def _ratio(timing: Timing) -> str:
    """How much slower than the first way; empty for that one."""
    if timing.ratio_min == timing.ratio_max == 1:
        return ""
    return f"[bold]{timing.ratio:.2f}×[/] ({timing.ratio_min:.2f}–{timing.ratio_max:.2f})"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{seconds * 1e3:.2f} ms"


def _phase(seconds: float, total: float | None, of_first: float, is_first: bool) -> str:
    """Seconds, their share of the step, and the ratio to the first run's where that says something."""
    share = "" if total is None else f" {seconds / total:4.0%}"
    ratio = "" if is_first or of_first < 0.1 else f"  [bold]{seconds / of_first:.2f}×[/]"
    return f"{seconds:.2f} s{share}{ratio}"


def _blocks(shape: Shape) -> str:
    threads = ", ".join(map(str, shape.threads))
    return f"{len(shape.threads)} blocks of {threads} threads, {shape.in_threads:.0%} in threads"
