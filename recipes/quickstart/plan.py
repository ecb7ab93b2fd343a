"""The quickstart's stages: `quickstart.yaml` on a framework, with a seed, on what this machine has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import openrlhf_ext.device as openrlhf
import openrlhf_ext.pipeline
import verl_ext.device as verl
import verl_ext.pipeline
from recipes.quickstart.settings import FILE, given_of
from tw_plugins.adapter.device import has_accelerator
from tw_plugins.pipeline.plan import Plan, planned
from tw_plugins.pipeline.reading import read_pipeline
from tw_plugins.pipeline.trainers import Trainer

TRAINERS: dict[str, Trainer] = {"verl": verl_ext.pipeline.TRAINER, "openrlhf": openrlhf_ext.pipeline.TRAINER}
STAGES = ("data", "sft", "selftrain", "rl", "eval")
DEFAULT_STAGES = ("data", "sft", "rl", "eval")
CUDA = "trainer.device=cuda"
ON_A_GPU = {
    "sft": [CUDA],
    "selftrain": [CUDA],
    "rl": [
        CUDA,
        "~actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls",
        "~ray_kwargs.ray_init.runtime_env.env_vars",
    ],
}
"""What verl's recipes of the toy, which are for the CPU, leave there, by stage."""


def plan_of(
    framework: str,
    folder: Path,
    seed: int = 0,
    fast: bool = False,
    chosen: Sequence[str] = DEFAULT_STAGES,
    gpus: int = 1,
    **variables: str,
) -> Plan:
    """
    Args:
        folder: of the run, absolute.
        chosen: of `STAGES`; whether `selftrain` is among them is all that matters.
        gpus: that train and decode, where there are some.
        variables: further ones of the file that have another value.
    """
    device = device_of(framework)
    given = {"framework": framework, "device": device, "gpus": "null" if device == "cpu" else str(gpus)}
    given["skip_selftrain"] = str("selftrain" not in chosen).lower()
    suffixes = {name: trainer.suffix for name, trainer in TRAINERS.items()}
    variables = {**given_of(seed, fast), **given, **variables}
    asked = read_pipeline(FILE, suffixes, folder, variables).asked
    if device != "cpu" and framework == "verl":
        asked = asked.with_settings(ON_A_GPU)
    return planned(asked, TRAINERS[framework], folder)


def device_of(framework: str) -> str:
    """What the framework's own variable says, else what there is: `cpu` or `cuda`."""
    found = "cuda" if has_accelerator() else "cpu"
    chosen = verl.chosen_platform() if framework == "verl" else os.environ.get(openrlhf.VARIABLE, "")
    return "cpu" if (chosen or found) == "cpu" else "cuda"
