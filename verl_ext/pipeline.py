"""verl's own training commands; `threadweaver pipeline` asks the group `tw_plugins.trainers`.

Importing this module imports no verl.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.jobs import Job
from tw_plugins.pipeline.trainers import Trained, Training
from verl_ext.device import VARIABLE

METRICS = "metrics.jsonl"
VERIFIER = "++reward.custom_reward_function.reward_kwargs.verifier"
ONE_PROCESS = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "0",  # a free one
}
_PLAIN = re.compile(r"[\w./:@+-]+")


class VerlTrainer:
    """Commands of `python -m verl.trainer…` on YAML recipes, with settings as Hydra takes them."""

    suffix = ".yaml"

    def environment(self, device: str) -> Mapping[str, str]:
        """Nothing: what does not train does not import verl."""
        return {}

    def files(self, recipe: Path) -> Sequence[Path]:
        """The recipe and the files beside it that its `defaults` name."""
        import yaml

        defaults = (yaml.safe_load(recipe.read_text(encoding="utf-8")) or {}).get("defaults", [])
        beside = [recipe.with_name(f"{name}.yaml") for name in defaults if isinstance(name, str)]
        return [recipe, *(file for one in beside if one.is_file() for file in self.files(one))]

    def sft(self, given: Training) -> Trained:
        """One process trains by itself; several are started by torchrun, on one node."""
        settings = {"model.path": given.model, "data.train_files": given.data}
        if given.gpus:
            settings["trainer.n_gpus_per_node"] = str(given.gpus)
        several = given.gpus != 1 and (given.gpus or given.device != "cpu")
        run = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={given.gpus or 'gpu'}"]
        launcher = [sys.executable, *(run if several else []), "-m", "verl.trainer.sft_trainer"]
        return _trained(given, launcher, settings, "huggingface", {} if several else ONE_PROCESS)

    def rl(self, given: Training) -> Trained:
        """verl validates while it trains, and wants data for it."""
        if given.validation is None:
            raise PipelineError("verl validates in RL: give rl.validation, problems with answers", ("rl",))
        settings = {
            "actor_rollout_ref.model.path": given.model,
            "data.train_files": given.data,
            "data.val_files": given.validation,
            "actor_rollout_ref.rollout.seed": str(given.seed),
        }
        if given.gpus:
            settings["trainer.n_gpus_per_node"] = str(given.gpus)
        if given.nodes:
            settings["trainer.nnodes"] = str(given.nodes)
        if given.verifier != "math":
            settings[VERIFIER] = given.verifier
        launcher = [sys.executable, "-m", "verl.trainer.main_ppo"]
        return _trained(given, launcher, settings, "actor/huggingface", {})


def _trained(
    given: Training, launcher: Sequence[str], settings: dict[str, str], model: str, env: Mapping[str, str]
) -> Trained:
    """
    Args:
        model: of the Hugging Face model in the folder of a checkpoint.
    """
    folder, metrics = given.folder, given.folder / METRICS
    checkpoints = folder / "checkpoints"
    if given.steps:
        settings["trainer.total_training_steps"] = str(given.steps)
    settings |= {
        "trainer.default_local_dir": str(checkpoints),
        "trainer.resume_mode": "auto",
        # where Hydra leaves the composed config
        "hydra.run.dir": str(folder),
        "hydra.output_subdir": "config",
    }
    platform = {VARIABLE: "cpu"} if given.device == "cpu" else {}  # verl fixes it before it reads a recipe
    words = [*(f"{key}={_quoted(value)}" for key, value in settings.items()), *given.settings]
    where = ["--config-path", str(given.recipe.parent), "--config-name", given.recipe.stem]
    job = Job(
        name=given.name,
        command=[*launcher, *where, *words],
        log=folder / "log.txt",
        counters=(metrics,),
        steps=given.steps,
        env={**given.env, **platform, **env, "VERL_FILE_LOGGER_PATH": str(metrics)},
        stall_s=given.stall_s,
        overwrites=True,  # as verl's file logger does
    )
    if given.steps:
        return Trained((job,), words, checkpoints / f"global_step_{given.steps}" / model, metrics)
    last = f"global_step_$(cat {shlex.quote(str(checkpoints / 'latest_checkpointed_iteration.txt'))})"
    link = f"ln -sfn {shlex.quote(str(checkpoints))}/{last}/{model} {shlex.quote(str(folder / 'model'))}"
    linked = Job(f"{given.name}: its last model", ["bash", "-ec", link], folder / "model.txt", (), 0)
    return Trained((job, linked), words, folder / "model", metrics)


def _quoted(value: str) -> str:
    """As Hydra's grammar takes a text that it would read otherwise."""
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


TRAINER = VerlTrainer()
