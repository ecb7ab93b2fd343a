"""Every place in OpenRLHF that openrlhf_ext hangs on to, for the doctor. Imports no OpenRLHF."""

from __future__ import annotations

from typing import Any

from openrlhf_ext.cpu.detect import on_cpu
from tw_plugins.adapter.seams import Seam


def _wrapped(dotted: str) -> Any:
    """Whether a function is one of ours around upstream's."""

    def in_place(module: Any) -> bool:
        target = module
        for name in dotted.split("."):
            target = getattr(target, name)
        return target.__globals__["__name__"].startswith("openrlhf_ext.")

    return in_place


def _rollout_actor(module: Any) -> bool:
    init = module.RolloutRayActor.__ray_metadata__.modified_class.__init__
    return bool(init.__globals__["__name__"] == "openrlhf_ext.engine_args")


def _metrics(module: Any) -> bool:
    trainer = module.PPOTrainer.__ray_metadata__.modified_class
    return bool(trainer.train_step.__globals__["__name__"] == "openrlhf_ext.metrics")


def _sft_dataset(module: Any) -> bool:
    return bool(module.SFTDataset.__module__ == "openrlhf_ext.sft_dataset")


def _no_stand_ins(module: Any) -> bool:
    return hasattr(module, "unpad_input")


SEAMS = (
    Seam("openrlhf.utils", ("get_strategy",), "check of settings", _wrapped("get_strategy")),
    Seam("openrlhf.utils.utils", ("convert_to_torch_dtype",), "float32", _wrapped("convert_to_torch_dtype")),
    Seam(
        "openrlhf.models.actor",
        ("Actor.forward", "unpad_and_slice_tensor"),
        "mask of trie rows",
        _wrapped("Actor.__init__"),
    ),
    Seam(
        "openrlhf.trainer.ppo_utils.samples_generator",
        ("SamplesGenerator._process_response_into_experience",),
        "rows into Experience",
        _wrapped("SamplesGenerator._process_response_into_experience"),
    ),
    Seam(
        "openrlhf.trainer.ppo_utils.samples_generator",
        ("SamplesGenerator._generate_vllm",),
        "error for a dead engine",
        _wrapped("SamplesGenerator._generate_vllm"),
    ),
    Seam(
        "openrlhf.trainer.ppo_utils.experience_maker",
        ("RemoteExperienceMaker.make_experience",),
        "rollout against actor",
        _wrapped("RemoteExperienceMaker.make_experience"),
    ),
    Seam(
        "openrlhf.trainer.ppo_utils.experience_maker",
        ("RemoteExperienceMaker.make_experience_batch",),
        "bonus of a group",
        _wrapped("RemoteExperienceMaker.make_experience_batch"),
    ),
    Seam(
        "openrlhf.trainer.ppo_trainer",
        (
            "BasePPOTrainer.broadcast_to_vllm",
            "BasePPOTrainer.train_step",
            "BasePPOTrainer.save_logs_and_checkpoints",
            "BasePPOTrainer.save_best_checkpoint",
        ),
        "metrics, warnings, deadline for weights",
        _metrics,
    ),
    Seam("openrlhf.trainer.ray.vllm_engine", ("RolloutRayActor",), "vLLM's arguments", _rollout_actor),
    Seam("openrlhf.datasets", ("SFTDataset",), "SFT data set", _sft_dataset),
    Seam(
        "openrlhf.trainer.sft_trainer",
        ("SFTTrainer.save_logs_and_checkpoints",),
        "SFT metrics",
        _wrapped("SFTTrainer.save_logs_and_checkpoints"),
    ),
)
CPU_SEAMS = (
    Seam(
        "openrlhf.models.ring_attn_utils", ("unpad_input", "pad_input"), "flash-attn helpers", _no_stand_ins
    ),
    Seam(
        "openrlhf.utils.deepspeed.deepspeed",
        ("init_device_mesh",),
        "device mesh of the CPU",
        _wrapped("init_device_mesh"),
    ),
    Seam(
        "openrlhf.utils.distributed_util",
        ("stateless_init_process_group",),
        "gloo group for the weights",
        _wrapped("stateless_init_process_group"),
    ),
)


def seams() -> tuple[Seam, ...]:
    """Those of this machine."""
    return (*SEAMS, *(CPU_SEAMS if on_cpu() else ()))
