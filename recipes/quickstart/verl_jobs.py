"""The quickstart's SFT and RL as commands of verl's own trainers on `recipes/verl/*.yaml`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from recipes.quickstart.environment import ENVIRONMENT
from recipes.quickstart.settings import SFT_CHECKPOINTS, Settings
from tw_plugins.adapter.device import has_accelerator
from tw_plugins.pipeline.jobs import Job
from verl_ext.device import VARIABLE, chosen_platform

CONFIGS = Path(__file__).parents[1] / "verl"


def sft_job(name: str, folder: Path, model: Path, data: Path, settings: Settings) -> Job:
    """SFT through `verl.trainer.sft_trainer`; the model ends in `sft_model(folder)`."""
    overrides = {
        "model.path": model,
        "data.train_files": data,
        "data.train_batch_size": settings.preset.sft_batch,
        "data.micro_batch_size_per_gpu": settings.sft_micro_batch,
        "optim.lr": settings.sft_lr,
    }
    one_process = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    env = {**one_process, "MASTER_PORT": str(free_port())}
    overrides["trainer.save_freq"] = max(1, settings.sft_steps // SFT_CHECKPOINTS)
    overrides["trainer.max_ckpt_to_keep"] = 2
    return _job(name, folder, "verl.trainer.sft_trainer", "toy_sft", overrides, settings.sft_steps, env)


def rl_job(
    name: str, folder: Path, sequential: bool, model: Path, data: Path, held_out: Path, settings: Settings
) -> Job:
    """RL through `verl.trainer.main_ppo`, P-GRPO or its sequential baseline."""
    config = "toy_grpo_sequential" if sequential else "toy_p_grpo"
    overrides: dict[str, object] = {
        "actor_rollout_ref.model.path": model,
        "data.train_files": data,
        "data.val_files": held_out,
        "data.train_batch_size": settings.rl_prompts,
        "data.max_response_length": settings.max_tokens,
        "actor_rollout_ref.rollout.n": settings.rl_samples,
        "actor_rollout_ref.rollout.temperature": settings.rl_temperature,
        "actor_rollout_ref.rollout.seed": settings.seed,
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": settings.rl_micro_batch,
        "actor_rollout_ref.actor.optim.lr": settings.rl_lr,
        "trainer.save_freq": 1,
        "trainer.max_actor_ckpt_to_keep": 2,  # one is whole while the other is written
    }
    if not sequential:
        overrides["reward.custom_reward_function.reward_kwargs.acceleration"] = settings.acceleration
    return _job(name, folder, "verl.trainer.main_ppo", config, overrides, settings.rl_steps, {})


def sft_model(folder: Path, settings: Settings) -> Path:
    """Where verl's SFT trainer leaves the Hugging Face model."""
    return folder / "checkpoints" / f"global_step_{settings.sft_steps}" / "huggingface"


def rl_model(folder: Path, settings: Settings) -> Path:
    """Where verl's PPO trainer leaves the Hugging Face model."""
    return folder / "checkpoints" / f"global_step_{settings.rl_steps}" / "actor" / "huggingface"


def metrics_file(folder: Path) -> Path:
    """verl's metrics, one JSON object per step."""
    return folder / "metrics.jsonl"


def on_cpu() -> bool:
    """Whether verl is asked for the CPU: by its own variable, else because there is nothing better here."""
    return (chosen_platform() or ("cuda" if has_accelerator() else "cpu")) == "cpu"


def free_port() -> int:
    """A port that is free now, for the trainer's rendezvous."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _job(
    name: str,
    folder: Path,
    module: str,
    config: str,
    overrides: dict[str, object],
    steps: int,
    env: dict[str, str],
) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    ours = {
        "trainer.total_training_steps": steps,
        "trainer.default_local_dir": folder / "checkpoints",
        "trainer.resume_mode": "auto",
        **({} if on_cpu() else {"trainer.device": "cuda"}),
    }
    arguments = [f"{key}={value}" for key, value in {**overrides, **ours}.items()]
    if not on_cpu() and config != "toy_sft":
        arguments += [
            "~actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls",
            "~ray_kwargs.ray_init.runtime_env.env_vars",
        ]
    return Job(
        name=name,
        command=[
            sys.executable,
            "-m",
            module,
            "--config-path",
            str(CONFIGS),
            "--config-name",
            config,
            *arguments,
        ],
        log=folder / "log.txt",
        counters=(metrics_file(folder),),
        steps=steps,
        overwrites=True,  # as verl's file logger does
        env={
            **ENVIRONMENT,
            **({VARIABLE: "cpu"} if on_cpu() else {}),
            **env,
            "VERL_FILE_LOGGER_PATH": str(metrics_file(folder)),
        },
    )
