"""`python -m recipes.gpu_smoke`: what works on this machine's GPUs, in minutes, and one file to send back.

doctor with attention on the device (FlexAttention and bf16 among it), each attention's output and gradient
against float32, the toy's whole quickstart on one GPU, and on several (NCCL) where there are.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recipes.gpu_smoke.steps import Outcome, run, steps_for
from recipes.quickstart.choices import check_framework
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.ending import OneLineCommand
from tw_plugins.errors import UserError
from tw_plugins.evaluation.provenance import Machine, versions
from tw_plugins.storage.atomic import write_text

KEPT = ("*.txt", "gpu.json", "gpu.md", "report.json", "outcome.json", "metrics.jsonl", "commands.sh")
"""What is sent back: logs and figures, no weights, no environment."""


class NoGPU(UserError, RuntimeError):
    """There is nothing to try."""


def main(
    framework: Annotated[str, typer.Option(help="verl or openrlhf, the one of this environment.")] = "verl",
    out: Annotated[Path, typer.Option(help="Folder for logs and figures.")] = Path("runs/gpu-smoke"),
    device: Annotated[str, typer.Option(help="cuda; cpu tries the script itself.")] = "cuda",
) -> None:
    """Try ThreadWeaver on this machine's GPUs: about five minutes for each framework.

    Ends with status 0 when everything worked, else with 1.
    """
    console = PlainConsole()
    check_framework(framework)
    gpus = gpus_of(device)
    out = out.absolute() / framework
    outcomes: list[Outcome] = []
    for step in steps_for(framework, device, gpus, out):
        console.print(f"{step.name} …", soft_wrap=True)
        outcomes.append(run(step, out / f"{len(outcomes) + 1}-{step.name.split()[0]}.txt"))
        console.print(f"  {said(outcomes[-1])}", soft_wrap=True)
    parcel = packed(out, framework, device, outcomes)
    worked = sum(outcome.status == 0 for outcome in outcomes)
    console.print(
        f"{worked} of {len(outcomes)} worked. To send back, or to attach to an issue: {parcel}",
        soft_wrap=True,
    )
    raise typer.Exit(0 if worked == len(outcomes) else 1)


def gpus_of(device: str) -> int:
    """How many GPUs there are; 0 for the CPU.

    Raises:
        NoGPU: none, where some were meant.
    """
    if device == "cpu":
        return 0
    import torch

    if not torch.cuda.is_available():
        raise NoGPU(
            "torch sees no GPU: run it where nvidia-smi lists one, or try the script with --device cpu"
        )
    return torch.cuda.device_count()


def said(outcome: Outcome) -> str:
    """``worked in 61 s``, or with which status it ended and on what."""
    if outcome.status == 0:
        return f"worked in {outcome.seconds:.0f} s"
    how = "was ended, late" if outcome.status is None else f"ended with status {outcome.status}"
    return f"{how}, after {outcome.seconds:.0f} s: {outcome.last[:300]}"


def packed(out: Path, framework: str, device: str, outcomes: Sequence[Outcome]) -> Path:
    """One file of all logs and figures, with what they were made on."""
    machine = asdict(Machine.here(on_gpu=device != "cpu"))
    whole = {"framework": framework, "machine": machine, "versions": versions()}
    write_text(
        out / "outcome.json", json.dumps({**whole, "steps": list(map(asdict, outcomes))}, indent=2) + "\n"
    )
    parcel = out.with_name(f"gpu-smoke-{framework}.zip")
    with zipfile.ZipFile(parcel, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted({path for pattern in KEPT for path in out.rglob(pattern)}):
            file.write(path, path.relative_to(out))
    return parcel


app = typer.Typer(add_completion=False)
app.command(cls=OneLineCommand)(main)

if __name__ == "__main__":
    app()
