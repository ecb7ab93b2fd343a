"""`threadweaver bench`: the sub-commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["bench"]

bench = typer.Typer(no_args_is_help=True, help="Speed on this machine, each figure beside its alternative.")
ShapeOption = Annotated[
    str, typer.Option(help="self-training or first-stage (Table 8 of the paper), or 4x3.")
]
TokensOption = Annotated[
    list[int] | None, typer.Option(min=100, help="Sampled tokens of the trajectory; may be repeated.")
]
RepeatsOption = Annotated[int, typer.Option(min=1, help="Times that each way is timed, in turns.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")]


@bench.command("update")
def bench_update(
    shape: ShapeOption = "4x3",
    tokens: TokensOption = None,
    model: Annotated[str, typer.Option(help="small, or one layer of Qwen3's 0.6B or 8B.")] = "small",
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """Forward and backward of P-GRPO's loss: a trie row against one row per request."""
    from tw_plugins.bench import command

    sizes = tokens or [1000, 4000, 8000]
    output = command.Output(Console(), json_out)
    command.update(command.shape_named(shape), command.model_named(model), sizes, repeats, output)


@bench.command("collate")
def bench_collate(
    shape: ShapeOption = "4x3",
    tokens: TokensOption = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """An SFT example from ids to a batch: time and memory against a prefix tree with a dense mask."""
    from tw_plugins.bench import command

    sizes = tokens or [1000, 4000, 11_000, 40_000]
    command.collate(command.shape_named(shape), sizes, repeats, command.Output(Console(), json_out))


@bench.command("rollout")
def bench_rollout(
    shape: ShapeOption = "self-training",
    trajectories: Annotated[
        list[int] | None, typer.Option(min=1, help="Decoded at once; may be repeated.")
    ] = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """CPU time and memory of the state machine itself, on an engine that costs next to nothing."""
    from tw_plugins.bench import command

    sizes = trajectories or [64, 256, 1024]
    command.rollout(command.shape_named(shape), sizes, repeats, command.Output(Console(), json_out))


@bench.command("engine")
def bench_engine(
    model: Annotated[str, typer.Option(help="Folder of a model that forks, e.g. the quickstart's.")],
    data: Annotated[Path, typer.Option(help="Parquet file of problems, as RL reads it.")],
    problems: Annotated[int, typer.Option(min=1, help="Decomposable problems per batch size and mode.")] = 16,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Batch size; may be repeated.")] = None,
    replicas: Annotated[
        int,
        typer.Option(min=1, help="From 2 on: the cache of so many engines instead, by kind of request id."),
    ] = 1,
    json_out: JsonOption = None,
) -> None:
    """Fork-join on the real vLLM: wall clock, what the orchestrator adds, prefix-cache hits."""
    from tw_plugins.bench import command

    output = command.Output(Console(), json_out)
    if replicas > 1:
        command.replicas(model, data, problems, batch or [4], replicas, output)
    else:
        command.engine(model, data, problems, batch or [1, 4, 16], output)


@bench.command("step")
def bench_step(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Metrics files: of verl's `file` logger or of OpenRLHF's --tw.metrics_file."),
    ],
    json_out: JsonOption = None,
) -> None:
    """Where the time of an RL step went in runs that were made, each against the first."""
    from tw_plugins.bench import command

    command.step(runs, command.Output(Console(), json_out))


@bench.command("reward")
def bench_reward(
    answers: Annotated[int, typer.Option(min=10, help="Graded per mixture.")] = 400,
    hostile: Annotated[
        list[int] | None, typer.Option(min=0, help="Hostile ones among them; may be repeated.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Grading processes.")] = 2,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds per comparison.")] = 1.0,
    json_out: JsonOption = None,
) -> None:
    """Grading throughput and latency, without and with hostile answers."""
    from tw_plugins.bench import command

    command.reward(answers, hostile or [0, 4], processes, deadline, command.Output(Console(), json_out))
