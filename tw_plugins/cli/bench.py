"""`threadweaver bench`: the sub-commands and their options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tw_plugins.cli.example import example

if TYPE_CHECKING:
    from tw_plugins.cli.bench_output import Output

__all__ = ["bench"]

bench = typer.Typer(no_args_is_help=True, help="Speed on this machine, each figure beside its alternative.")
ShapeOption = Annotated[
    str, typer.Option(help="self-training or first-stage (Table 8 of the paper), or 4x3.")
]
TokensOption = Annotated[
    list[int] | None, typer.Option(min=100, help="Sampled tokens of the trajectory; may be repeated.")
]
DeviceOption = Annotated[str | None, typer.Option(help="cpu or cuda; cuda where there is one.")]
RepeatsOption = Annotated[int, typer.Option(min=1, help="Times that each way is timed, in turns.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")]
REAL = "On the real vLLM"
MEASURE = "Measured here"
WIDTH = 120  # characters of a line where there is no terminal


def _output(json_out: Path | None) -> Output:
    from tw_plugins.cli.bench_output import Output
    from tw_plugins.cli.console import PlainConsole

    return Output(PlainConsole(width=None if sys.stdout.isatty() else WIDTH), json_out)


@bench.command("update", epilog=example("threadweaver bench update --shape 4x3 --tokens 1000"))
def bench_update(
    shape: Annotated[
        list[str] | None,
        typer.Option(help="self-training, first-stage (Table 8 of the paper) or 4x3; may be repeated."),
    ] = None,
    tokens: TokensOption = None,
    model: Annotated[str, typer.Option(help="small, or one layer of Qwen3's 0.6B or 8B.")] = "small",
    device: DeviceOption = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """Forward and backward of P-GRPO's loss: a trie row against one row per request."""
    from tw_plugins.bench.shapes import SHAPES
    from tw_plugins.cli import bench_cases

    output, shapes = _output(json_out), [bench_cases.shape_named(name) for name in shape or SHAPES]
    bench_cases.update(
        shapes, bench_cases.model_named(model), tokens or [1000, 4000], repeats, device, output
    )


@bench.command("collate", epilog=example("threadweaver bench collate --tokens 4000"))
def bench_collate(
    shape: ShapeOption = "4x3",
    tokens: TokensOption = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """An SFT example from ids to a batch: time and memory against a prefix tree with a dense mask."""
    from tw_plugins.cli import bench_cases

    output, sizes = _output(json_out), tokens or [1000, 4000, 11_000, 40_000]
    bench_cases.collate(bench_cases.shape_named(shape), sizes, repeats, output)


@bench.command("head", epilog=example("threadweaver bench head --tokens 4000 --hidden 4096"))
def bench_head(
    tokens: TokensOption = None,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the model; Qwen3-8B has 4096.")] = 1024,
    chunk: Annotated[int, typer.Option(min=1, help="Tokens whose logits are in memory at once.")] = 1024,
    device: DeviceOption = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """Log-probs from the output head: time and memory of chunks against the logits of the whole row."""
    from tw_plugins.cli import bench_cases

    bench_cases.head(tokens or [1000, 4000], hidden, chunk, repeats, device, _output(json_out))


@bench.command("gpu", epilog=example("threadweaver bench gpu runs/gpu --minutes 5"))
def bench_gpu(
    folder: Annotated[Path, typer.Argument(help="Where gpu.json and gpu.md are written, case by case.")],
    part: Annotated[
        list[str] | None,
        typer.Option(help="right, exact, layer, batch, head or whole; may be repeated. All by default."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="After which no case is begun.")] = 8,
    device: DeviceOption = None,
) -> None:
    """Is it right on this GPU, how fast, and in how much memory: one script for the first minutes on one."""
    from dataclasses import replace

    from tw_plugins.bench.gpu import FULL, bench_gpu
    from tw_plugins.cli.console import PlainConsole

    console = PlainConsole()
    bench_gpu(folder, part or (), replace(FULL, minutes=minutes), device, console.print)
    console.print(f"{folder / 'gpu.md'} has all tables")


@bench.command(
    "rollout",
    epilog=example(
        "threadweaver bench rollout --trajectories 64",
        "threadweaver bench rollout --model runs/rl/model --data eval.parquet",
    ),
)
def bench_rollout(
    shape: ShapeOption = "self-training",
    trajectories: Annotated[
        list[int] | None, typer.Option(min=1, help="Decoded at once; may be repeated.")
    ] = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder of a model that forks, e.g. the quickstart's.", rich_help_panel=REAL),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Parquet file of problems, as RL reads it.", rich_help_panel=REAL),
    ] = None,
    problems: Annotated[
        int,
        typer.Option(min=1, help="Decomposable problems per batch size and mode.", rich_help_panel=REAL),
    ] = 16,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Batch size; may be repeated.", rich_help_panel=REAL)
    ] = None,
    replicas: Annotated[
        int,
        typer.Option(
            min=1,
            help="From 2 on: the cache of so many engines instead, by kind of request id.",
            rich_help_panel=REAL,
        ),
    ] = 1,
) -> None:
    """CPU time and memory of the state machine itself, on an engine of prepared answers.

    With --model and --data on the real vLLM: wall clock, the state machine's share of it, prefix-cache hits.
    """
    from tw_plugins.bench import BenchError
    from tw_plugins.cli import bench_cases

    output = _output(json_out)
    if (model is None) != (data is None):
        raise BenchError("the real vLLM needs both --model and --data; prepared answers need neither")
    if model is None or data is None:
        bench_cases.rollout(bench_cases.shape_named(shape), trajectories or [64, 256, 1024], repeats, output)
    elif replicas > 1:
        bench_cases.replicas(model, data, problems, batch or [4], replicas, output)
    else:
        bench_cases.engine(model, data, problems, batch or [1, 4, 16], repeats, output)


@bench.command("serve", epilog=example("threadweaver bench serve --model runs/rl/model --data rl.parquet"))
def bench_serve(
    model: Annotated[str, typer.Option(help="Folder of a model that forks, e.g. the quickstart's.")],
    data: Annotated[Path, typer.Option(help="File of problems, as RL reads it.")],
    problems: Annotated[int, typer.Option(min=1, help="Decomposable ones, asked by each way.")] = 16,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Of an answer; cut to what the model's context leaves.")
    ] = 40_000,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Requests at a time; may be repeated.")
    ] = None,
    repeats: RepeatsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """What `threadweaver serve` takes beside vLLM's own server: wall clock, CPU time, in both modes.

    Both are started here, on the same model with the same engine, and asked in turns.
    """
    from tw_plugins.cli import bench_serve

    bench_serve.serve(model, data, problems, max_tokens, batch or [1, 4, 16], repeats, _output(json_out))


@bench.command("scale", epilog=example("threadweaver bench scale --replicas 8 --gpu h100"))
def bench_scale(
    replicas: Annotated[
        list[int] | None, typer.Option(min=1, help="Engines; may be repeated. Default: 8 and 64.")
    ] = None,
    per_replica: Annotated[int, typer.Option(min=1, help="Trajectories of a step, per replica.")] = 195,
    placement: Annotated[
        list[str] | None,
        typer.Option(
            help="By what requests are routed: trajectory or thread (verl's request_ids), or prompt "
            "(OpenRLHF's way); may be repeated."
        ),
    ] = None,
    workload: Annotated[
        str, typer.Option(help="self-training or first-stage (Table 8 of the paper).")
    ] = "self-training",
    spread: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="σ of the lengths (log-normal); 0: no stragglers.")
    ] = 0.5,
    model: Annotated[str, typer.Option(help="Folder with a config.json, or e.g. Qwen3-8B.")] = "Qwen3-8B",
    gpu: Annotated[str, typer.Option(help="rtx4090, l4, a100-40, l40s, a100, h100, h200 or b200.")] = "h100",
    workers: Annotated[
        int, typer.Option(min=1, help="verl's actor_rollout_ref.rollout.agent.num_workers.")
    ] = 8,
    graders: Annotated[
        int, typer.Option(min=1, help="Grading processes: two for each of verl's reward.num_workers.")
    ] = 16,
    measure_client: Annotated[
        bool,
        typer.Option(
            "--measure-client",
            help="Instead: what the other processes take on this machine (starts a small local Ray).",
            rich_help_panel=MEASURE,
        ),
    ] = False,
    measure: Annotated[
        Path | None,
        typer.Option(
            help="Instead: fit this model's vLLM here, and hold the simulation against 1 and 2 real engines.",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each measured run.", rich_help_panel=MEASURE)] = 3,
    json_out: JsonOption = None,
) -> None:
    """A step on many replicas, simulated: where driver, workers, router and grading saturate.

    The state machine and the router's rule are the real ones, the engines only take time; what the client's
    processes take was measured. 8 and 64 replicas take a minute or two of one core.
    """
    from tw_plugins.cli import bench_scale

    output = _output(json_out)
    if measure_client:
        bench_scale.client(replicas or [8, 64, 512], output)
    elif measure is not None:
        bench_scale.engines(str(measure), replicas or [1, 2], min(per_replica, 12), repeats, output)
    else:
        bench_scale.scale(
            model,
            gpu,
            bench_scale.workload_named(workload, spread),
            replicas or [8, 64],
            per_replica,
            [bench_scale.placement_named(each) for each in placement or ("trajectory", "thread")],
            (workers, graders),
            output,
        )


@bench.command("step", epilog=example("threadweaver bench step runs/rl/metrics.jsonl runs/b/metrics.jsonl"))
def bench_step(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Metrics files: of verl's `file` logger or of OpenRLHF's --tw.metrics_file."),
    ],
    json_out: JsonOption = None,
) -> None:
    """Where the time of an RL step went in runs that were made, each against the first."""
    from tw_plugins.cli import bench_cases

    bench_cases.step(runs, _output(json_out))


@bench.command("reward", epilog=example("threadweaver bench reward --answers 400"))
def bench_reward(
    answers: Annotated[int, typer.Option(min=10, help="Graded per mixture.")] = 400,
    hostile: Annotated[
        list[int] | None, typer.Option(min=0, help="Hostile ones among them; may be repeated.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Grading processes.")] = 2,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds per comparison.")] = 1.0,
    programs: Annotated[
        int, typer.Option(min=0, help="Programs judged in the sandbox per kind of tests; 0: none.")
    ] = 40,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each mixture is graded.")] = 3,
    json_out: JsonOption = None,
) -> None:
    """Throughput and latency of grading, without and with hostile answers, and of programs in the sandbox."""
    from tw_plugins.cli import bench_cases

    output = _output(json_out)
    bench_cases.reward(answers, hostile or [0, 4], processes, deadline, programs, repeats, output)
