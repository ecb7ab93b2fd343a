"""`threadweaver bench scale` for people: its cases and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, get_args

from rich.text import Text

from tw_plugins.bench import BenchError
from tw_plugins.bench.scale.client import measure_client
from tw_plugins.bench.scale.engine import HELD, measure_engines
from tw_plugins.bench.shapes import SHAPES, tags
from tw_plugins.cli.bench_output import Output, between
from tw_plugins.cli.tables import Figures
from tw_plugins.engines.choice import quiet_vllm
from tw_plugins.evaluation.provenance import Machine
from tw_plugins.planning import config_of
from tw_plugins.planning.duration import ASSUMED_OF_ENGINES, engine_alone
from tw_plugins.planning.simulation import (
    MEASURED,
    WORKLOADS,
    ClientCosts,
    Cluster,
    StepFigures,
    Workload,
    simulate,
)
from tw_plugins.planning.simulation.step import Placement

__all__ = ["client", "engines", "placement_named", "scale", "workload_named"]

MS = 1e3


@dataclass(frozen=True)
class ScaleFigures:
    """One step.

    Attributes:
        needed: processes of each kind, for the engines to be what the step waits for.
    """

    step: StepFigures
    needed: dict[str, int]


def workload_named(name: str, spread: float) -> Workload:
    """One of `WORKLOADS`.

    Raises:
        BenchError: there is none of that name.
    """
    if name not in WORKLOADS:
        raise BenchError(f"--workload is {name!r}: choose one of {', '.join(WORKLOADS)}")
    return replace(WORKLOADS[name], spread=spread)


def placement_named(name: str) -> Placement:
    """One of `Placement`.

    Raises:
        BenchError: there is none of that name.
    """
    for placement in get_args(Placement):
        if name == placement:
            return placement  # type: ignore[no-any-return]
    raise BenchError(f"--placement is {name!r}: choose one of {', '.join(get_args(Placement))}")


def scale(
    model: str,
    gpu: str,
    workload: Workload,
    replicas: Sequence[int],
    per_replica: int,
    placements: Sequence[Placement],
    processes: tuple[int, int],
    output: Output,
) -> None:
    """A step on so many replicas, by placement.

    Args:
        processes: agent-loop workers, and those that grade.

    Raises:
        PlanError: a model or GPU that there is not.
        SimulationError: trajectories longer than the KV cache.
    """
    times = engine_alone(config_of(model), gpu)
    workers, graders = processes
    clusters = [
        Cluster(times, count, MEASURED, workers, graders, placement)
        for count in replicas
        for placement in placements
    ]
    cases = [
        (
            f"{cluster.replicas} replicas, by {cluster.placement}",
            partial(simulate, cluster, workload, cluster.replicas * per_replica, tags()),
        )
        for cluster in clusters
    ]
    steps: list[StepFigures] = output.measure("scale", cases)
    figures = [
        ScaleFigures(step, step.processes(cluster)) for step, cluster in zip(steps, clusters, strict=True)
    ]
    settings = (
        f"{model} on one {gpu} each, {times.kv_tokens:,} tokens of KV cache; {per_replica} trajectories a "
        f"replica, all at once, {workload}\n"
        f"assumed: {ASSUMED_OF_ENGINES}; measured, CPU seconds: {MEASURED}\n"
        f"{workers} agent-loop workers, {graders} grading processes, one router, one driver"
    )
    output.show("scale", _table(figures), settings, figures, Machine.here())


def _table(figures: Sequence[ScaleFigures]) -> Figures:
    shown = Figures("replicas")
    shown.add_name("by")
    for heading in ("step", "trajectory: mean, p99", "stragglers", "busy", "batch", "cache hits"):
        shown.add_column(heading, justify="right")
    for heading in ("worker, grader, router, driver busy", "workers, graders needed"):
        shown.add_column(heading, justify="right")
    first: dict[int, float] = {}
    for each in figures:
        step = each.step
        against = step.seconds / first.setdefault(step.replicas, step.seconds)
        shown.add_row(
            str(step.replicas),
            step.placement,
            Text.assemble(f"{step.seconds:,.0f} s", (f" {against:.2f}×" if against != 1 else "", "bold")),
            f"{step.trajectory_s:,.0f}, {step.p99_s:,.0f} s",
            f"{step.stragglers:.0%}",
            f"{step.engines_busy:.0%}",
            f"{step.batch:.0f}",
            f"{step.hits:.0%}",
            f"{step.workers:.1%}, {step.graders:.1%}, {step.router:.1%}, {step.driver:.1%}",
            f"{each.needed['workers']}, {each.needed['graders']}",
        )
    return shown


def client(replicas: Sequence[int], output: Output) -> None:
    """What the processes beside the engines take on this machine, by the number of replicas.

    Raises:
        BenchError: Ray is not installed.
    """
    shape = SHAPES["self-training"]
    cases = [(f"{count} replicas", partial(measure_client, shape, count)) for count in replicas]
    found: list[ClientCosts] = output.measure("client", cases)
    shown = Figures("replicas", "worker: request", "trajectory", "grader", "router", "driver")
    for count, costs in zip(replicas, found, strict=True):
        shown.add_row(str(count), *(f"{seconds * MS:.3f} ms" for seconds in asdict(costs).values()))
    settings = f"CPU time; trajectories of {shape.tokens:,} tokens in {len(shape.threads)} blocks"
    output.show("client", shown, settings, found, Machine.here())


def engines(model: str, replicas: Sequence[int], per_replica: int, repeats: int, output: Output) -> None:
    """A real vLLM's service times here, and the same trajectories on real engines and simulated.

    Raises:
        BenchError, EvaluationError, EngineError: the model cannot be used, or vLLM fails.
    """
    from tw_plugins.evaluation.run import EvalSettings, prepare_prompt

    quiet_vllm()
    args: dict[str, Any] = prepare_prompt(model, "?", EvalSettings())[-1]
    with output.console.working("vLLM starts") as status:
        held = measure_engines(model, args, replicas, per_replica, repeats, status.update)
    shown = Figures(
        "engines", "trajectories", "real", "simulated", "simulated over real", "cache hits: real", "simulated"
    )
    for each in held:
        shown.add_row(
            str(each.replicas),
            str(each.trajectories),
            between(each.real, "{:.1f}", " s"),
            f"{each.simulated:.1f} s",
            Text(f"{each.ratio:.2f}×", "bold"),
            f"{each.real_hits:.0%}",
            f"{each.simulated_hits:.0%}",
        )
    fitted = "\n".join(f"fitted to {each.replicas} at work: {each.times}" for each in held)
    output.show("engines", shown, f"{model}\n{fitted}\n{HELD}", held, Machine.here())
