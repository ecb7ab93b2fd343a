"""What `threadweaver plan` shows."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from tw_plugins.bench.memory import RETURN_AT_ONCE, peak_of_process, peak_on_cuda
from tw_plugins.cli.tables import Figures
from tw_plugins.planning import GIB, Cluster, Plan
from tw_plugins.planning.activations import DEPTHS, peak_of_step, training_step, with_layers
from tw_plugins.planning.duration import ASSUMED
from tw_plugins.planning.plan import FORKED
from tw_plugins.storage.files import read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tw_plugins.cli.console import PlainConsole

__all__ = ["ToPlan", "is_pipeline", "measured", "recipes_in", "show", "show_measured"]

TINY = 16  # tokens of the warm-up before memory is measured


class ToPlan(NamedTuple):
    """A recipe with settings on top, in its framework's words, for a model on GPUs of a name."""

    recipe: Path
    settings: Sequence[str] = ()
    model: str | None = None
    gpu: str = "h100"


def recipes_in(file: Path) -> list[ToPlan]:
    """A recipe itself; of a pipeline's file those of its stages, but for a baseline's, which takes as much.

    Raises:
        PipelineError: the file cannot be what it says.
    """
    if file.suffix not in (".yaml", ".yml") or not file.is_file() or not is_pipeline(file):
        return [ToPlan(file)]
    from tw_plugins.cli.pipeline import read_plan

    plan = read_plan(file, Path(os.path.realpath(Path("runs") / file.stem)), {})
    model, gpu = plan.asked.model, plan.asked.hardware.gpu
    found = {}
    baseline = plan.asked.rl.baseline if plan.asked.rl else None
    for training, trained in plan.trainings:
        if training.recipe == baseline:
            continue
        as_one_text = training.recipe.suffix == ".sh"  # how its planner takes flags
        words = [shlex.quote(word) if as_one_text else word for word in trained.settings]
        known = model if Path(model).is_dir() else Path(model).name
        found[training.recipe] = ToPlan(training.recipe, words, known, gpu)
    return list(found.values())


def is_pipeline(file: Path) -> bool:
    """Whether a YAML names a framework; verl's own never do."""
    return re.search(r"^framework:", read_text(file), re.MULTILINE) is not None


def show(plan: Plan, cluster: Cluster, console: PlainConsole) -> None:
    """Prints what there is, moment by moment, and a last line that says whether it fits."""
    job = plan.job
    console.print(
        f"{job.name} ({job.framework}): {plan.size.parameters / 1e9:.2f} billion parameters on "
        f"{cluster.nodes} × {cluster.gpus_per_node} {cluster.gpu.name} of {cluster.gpu.gib:g} GiB, "
        f"{cluster.usable / GIB:g} for a run; rows of {job.training.row_tokens:,} tokens at most",
        soft_wrap=True,
    )
    table = Figures()
    table.add_name("on one GPU")
    table.add_name("what")
    table.add_column("GiB", justify="right")
    for moment in plan.moments:
        name: str = moment.name
        for what, size in moment.parts.items():
            if size:
                table.add_row(Text(name, "bold"), what, f"{size / GIB:.1f}")
                name = ""
        fits = moment.total <= cluster.usable
        table.add_row("", "together", Text(f"{moment.total / GIB:.1f}", "green" if fits else "bold red"))
        table.add_section()
    console.print(table)
    if plan.rollout and job.rollout:
        _show_rollout(plan, console)
    if plan.fits:
        console.print(Text("it fits", "green"))
        return
    for problem in plan.problems:
        console.print(Text.assemble(("✗ ", "bold red"), problem), soft_wrap=True)
    for settings in plan.remedies:
        console.print(f"fits with  {settings}", soft_wrap=True)
    if not plan.remedies:
        console.print("none of the settings tried makes it fit: more GPUs, shorter rows or a smaller model")


def _show_rollout(plan: Plan, console: PlainConsole) -> None:
    rollout, job = plan.rollout, plan.job.rollout
    assert rollout is not None and job is not None
    console.print(
        f"rollout: {job.engines} engine{'s' * (job.engines > 1)}, each with {max(rollout.kv_tokens, 0):,} "
        f"tokens of KV cache: {rollout.at_once} trajectories at once of the {rollout.given} it is given; "
        f"about {rollout.requests:,} requests a step, forked as in {FORKED}",
        soft_wrap=True,
    )
    if (took := rollout.estimate) is not None:
        console.print(
            f"a step: about {took.step / 60:.1f} min, of which rollout {took.generate / 60:.1f}, log-probs "
            f"{took.log_probs / 60:.1f}, update {took.update / 60:.1f} ({ASSUMED})",
            soft_wrap=True,
        )
    if job.workers and rollout.workers:
        _show_workers(job.workers, rollout.workers, console)


def _show_workers(given: int, needed: int, console: PlainConsole) -> None:
    if given >= needed:
        console.print(f"agent-loop workers: {given}, {needed} needed")
        return
    console.print(
        Text.assemble(
            ("! ", "bold yellow"),
            f"agent-loop workers: {given}, {needed} needed, or the engines wait for them: set "
            f"actor_rollout_ref.rollout.agent.num_workers={needed}",
        ),
        soft_wrap=True,
    )


def measured(
    config: Any, layers: int, tokens: int, checkpointing: bool, chunk: int | None, device: str
) -> tuple[int, int]:
    """Bytes that a training step of so many layers takes for activations: foreseen, and on this device.

    In float32 on the CPU, in a process of its own, and in bf16 on CUDA.
    """
    import torch

    few = with_layers(config, layers)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    foreseen = peak_of_step(few, tokens, dtype, checkpointing, chunk)
    prepare = partial(_step, few, dtype, checkpointing, chunk, device)
    if device == "cuda":
        return foreseen, peak_on_cuda(prepare(tokens))
    return foreseen, peak_of_process(prepare, TINY, tokens, RETURN_AT_ONCE)


def _step(
    config: Any, dtype: Any, checkpointing: bool, chunk: int | None, device: str, tokens: int
) -> Callable[[], object]:
    import torch

    torch.manual_seed(0)
    return training_step(config, tokens, dtype, checkpointing, chunk, device)[0]


def show_measured(plan: Plan, config: Any, tokens: int, device: str, console: PlainConsole) -> None:
    """Prints what two layers of the model take here beside what was foreseen."""
    training, layers = plan.job.training, DEPTHS[-1]
    with console.working(f"{layers} layers on {tokens} tokens"):
        foreseen, found = measured(config, layers, tokens, training.checkpointing, training.chunk, device)
    console.print(
        f"{layers} layers on {tokens:,} tokens, activations on {device}: {found / GIB:.2f} GiB measured, "
        f"{foreseen / GIB:.2f} foreseen ({foreseen / found - 1:+.0%})",
        soft_wrap=True,
    )
