"""OpenRLHF's own training commands; `threadweaver pipeline` asks the group `tw_plugins.trainers`.

Importing this module imports no OpenRLHF.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from openrlhf_ext.device import CPU_PORT, VARIABLE
from tw_plugins.pipeline.jobs import Job
from tw_plugins.pipeline.trainers import Trained, Training

METRICS = "metrics.jsonl"
_SCRIPT = re.compile(r"[\w.-]+\.sh\b")


class OpenRLHFTrainer:
    """Recipes that are shell scripts, with flags behind them."""

    suffix = ".sh"

    def environment(self, device: str) -> Mapping[str, str]:
        """DeepSpeed asks for its device wherever it is imported, and transformers imports it."""
        if device != "cpu":
            return {VARIABLE: device}
        return dict(importlib.import_module(CPU_PORT).CPU.environment)

    def files(self, recipe: Path) -> Sequence[Path]:
        """The script and the one beside it that it runs."""
        named = {recipe.with_name(name) for name in _SCRIPT.findall(recipe.read_text(encoding="utf-8"))}
        return [recipe, *sorted(one for one in named - {recipe} if one.is_file())]

    def sft(self, given: Training) -> Trained:
        """The script decides on how many GPUs."""
        flags = {"--model.model_name_or_path": given.model, "--data.dataset": given.data}
        return _trained(given, flags, "checkpoints/latest")

    def rl(self, given: Training) -> Trained:
        """GPUs that are given train and roll out, one engine on each."""
        flags = {"--actor.model_name_or_path": given.model, "--data.prompt_dataset": given.data}
        if given.validation is not None:
            flags["--eval.dataset"] = given.validation
        if given.gpus:
            flags |= {
                "--actor.num_gpus_per_node": str(given.gpus),
                "--vllm.num_engines": str(given.gpus * (given.nodes or 1)),
            }
        if given.nodes:
            flags["--actor.num_nodes"] = str(given.nodes)
        if given.verifier != "math":
            flags["--tw.verifier"] = given.verifier
        return _trained(given, flags, "checkpoints/_actor/latest")


def _trained(given: Training, flags: dict[str, str], latest: str) -> Trained:
    """
    Args:
        latest: written by DeepSpeed once a checkpoint is whole; the job goes on from there.
    """
    folder, metrics = given.folder, given.folder / METRICS
    flags |= {
        "--train.seed": str(given.seed),
        "--ckpt.output_dir": str(folder / "model"),
        "--ckpt.path": str(folder / "checkpoints"),
        "--tw.metrics_file": str(metrics),
    }
    words = [*(word for flag in flags.items() for word in flag), *given.settings]
    job = Job(
        name=given.name,
        command=["bash", str(given.recipe), *words],
        log=folder / "log.txt",
        counters=(metrics,),
        steps=given.steps,
        env={**given.env, "PYTHON": sys.executable},
        stall_s=given.stall_s,
        resume=(folder / latest, ("--ckpt.load_enable",)),
    )
    return Trained((job,), words, folder / "model", metrics)


TRAINER = OpenRLHFTrainer()
