"""The quickstart's SFT and RL as the commands of `recipes/openrlhf/*.sh`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from openrlhf_ext.device import VARIABLE, chosen_device
from recipes.quickstart.environment import ENVIRONMENT
from recipes.quickstart.settings import SFT_CHECKPOINTS, Settings
from tw_plugins.adapter.device import has_accelerator
from tw_plugins.pipeline.jobs import Job

# The one place that looks for a device: what is started here runs here. It holds for every job, and for this
# process, in whose evaluations transformers imports DeepSpeed.
os.environ.setdefault(VARIABLE, "cuda" if has_accelerator() else "cpu")
chosen_device().export()

SCRIPTS = Path(__file__).parents[1] / "openrlhf"


def sft_job(name: str, folder: Path, model: Path, data: Path, settings: Settings) -> Job:
    """SFT through `openrlhf.cli.train_sft`; the model ends in `sft_model(folder)`."""
    flags = {
        "--model.model_name_or_path": model,
        "--data.dataset": data,
        "--train.batch_size": settings.preset.sft_batch,
        "--train.micro_batch_size": settings.sft_micro_batch,
        "--train.seed": settings.seed,
        "--adam.lr": settings.sft_lr,
        "--ckpt.output_dir": sft_model(folder, settings),
        "--ckpt.path": folder / "checkpoints",
        "--ckpt.save_steps": max(1, settings.sft_steps // SFT_CHECKPOINTS),
        "--ckpt.max_num": 2,
    }
    latest = folder / "checkpoints" / "latest"
    return _job(name, folder, "train_toy_sft.sh", flags, settings.sft_steps, latest)


def rl_job(
    name: str, folder: Path, sequential: bool, model: Path, data: Path, held_out: Path, settings: Settings
) -> Job:
    """RL through `openrlhf.cli.train_ppo_ray`, P-GRPO or its sequential baseline."""
    flags: dict[str, object] = {
        "--actor.model_name_or_path": model,
        "--data.prompt_dataset": data,
        "--data.max_samples": settings.rl_steps * settings.rl_prompts,
        "--data.max_len": 256 + settings.max_tokens,
        "--rollout.max_new_tokens": settings.max_tokens,
        "--rollout.batch_size": settings.rl_prompts,
        "--rollout.n_samples_per_prompt": settings.rl_samples,
        "--rollout.micro_batch_size": settings.rl_micro_batch,
        "--rollout.temperature": settings.rl_temperature,
        "--train.batch_size": settings.rl_prompts * settings.rl_samples,
        "--train.micro_batch_size": settings.rl_micro_batch,
        "--train.seed": settings.seed,
        "--actor.adam.lr": settings.rl_lr,
        "--ckpt.output_dir": rl_model(folder, settings),
        "--ckpt.path": folder / "checkpoints",
        "--ckpt.save_steps": 1,
        "--ckpt.max_num": 2,  # one is whole while the other is written
    }
    if not sequential:
        flags["--tw.acceleration"] = settings.acceleration
    script = "train_toy_grpo_sequential.sh" if sequential else "train_toy_p_grpo.sh"
    return _job(name, folder, script, flags, settings.rl_steps, folder / "checkpoints" / "_actor" / "latest")


def sft_model(folder: Path, settings: Settings) -> Path:
    """Where OpenRLHF's SFT trainer leaves the Hugging Face model."""
    return folder / "model"


def rl_model(folder: Path, settings: Settings) -> Path:
    """Where OpenRLHF's PPO trainer leaves the Hugging Face model."""
    return folder / "model"


def metrics_file(folder: Path) -> Path:
    """Our metrics, one JSON object per step."""
    return folder / "metrics.jsonl"


def _job(name: str, folder: Path, script: str, flags: dict[str, object], steps: int, latest: Path) -> Job:
    """
    Args:
        latest: written by DeepSpeed once a checkpoint is whole; the job goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [str(part) for flag in flags.items() for part in flag]
    arguments += ["--ckpt.load_enable"] if latest.exists() else []
    return Job(
        name=name,
        command=["bash", str(SCRIPTS / script), *arguments, "--tw.metrics_file", str(metrics_file(folder))],
        log=folder / "log.txt",
        counters=(metrics_file(folder),),
        steps=steps,
        env={**ENVIRONMENT, "PYTHON": sys.executable},
    )
