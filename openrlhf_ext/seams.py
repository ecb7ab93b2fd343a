"""Every place in OpenRLHF that openrlhf_ext hangs on to, and the versions it was checked against.

The one table of it: `hooks` registers by it, the doctor and the contract tests look at what it names. The CPU
port has its own (`openrlhf_ext.cpu.port`). Importing this module imports no OpenRLHF.
"""

from __future__ import annotations

from typing import Any

from openrlhf_ext.device import chosen_device
from tw_plugins.adapter.seams import Seam, wrapped_by
from tw_plugins.adapter.versions import Supported

SUPPORTED = Supported(
    "openrlhf_ext",
    {
        "openrlhf": "~=0.11.2",
        "transformers": ">=5.0,<5.16",
        "torch": ">=2.9",
        "deepspeed": ">=0.18.9",
        "ray": ">=2.48",
        "vllm": ">=0.20",
    },
)


def wrapper(module: str, dotted: str, piece: str, register: str, *also: str) -> Seam:
    """The seam of a function that ours stands around, or in the place of.

    Args:
        dotted: the function's name in `module`.
        also: further names in it that are used.
    """
    return Seam(module, (dotted, *also), piece, register, wrapped_by(register.partition(":")[0], dotted))


def actors_method(module: str, actor: str, method: str, piece: str, register: str, *also: str) -> Seam:
    """The same for a method of a Ray actor's class, which has its own copy of what it inherits."""
    in_place = wrapped_by(register.partition(":")[0], f"{actor}.__ray_metadata__.modified_class.{method}")
    return Seam(module, (actor, *also), piece, register, in_place)


def _sft_dataset(module: Any) -> bool:
    return bool(module.SFTDataset.__module__ == "openrlhf_ext.sft_dataset")


def _prompts(module: Any) -> bool:
    return bool(module.PromptDataset.__module__ == "openrlhf_ext.prompts")


SAMPLES = "openrlhf.trainer.ppo_utils.samples_generator"
ENGINE = "openrlhf.trainer.ray.vllm_engine"
MAKER, TRAINER = "openrlhf.trainer.ppo_utils.experience_maker", "openrlhf.trainer.ppo_trainer"

SEAMS = (
    wrapper("openrlhf.utils", "get_strategy", "check of settings", "openrlhf_ext.preflight:register"),
    wrapper("openrlhf.utils.utils", "convert_to_torch_dtype", "float32", "openrlhf_ext.fp32:register"),
    wrapper(
        "openrlhf.models.actor", "Actor.__init__", "mask of trie rows", "openrlhf_ext.actor:register",
        "unpad_and_slice_tensor",
    ),
    wrapper(
        "openrlhf.models.actor", "Actor.forward", "log-probs in chunks", "openrlhf_ext.output_head:register",
        "Actor.__init__", "unpad_and_slice_tensor", "log_probs_from_logits", "compute_entropy",
    ),
    wrapper(
        "openrlhf.utils.deepspeed.deepspeed", "DeepspeedStrategy.setup_ring_attn", "rows split over ranks",
        "openrlhf_ext.split_rows:register", "get_ring_attn_group", "set_ring_attn_group",
    ),
    wrapper(
        SAMPLES, "SamplesGenerator._process_response_into_experience", "rows into Experience",
        "openrlhf_ext.experience:register",
    ),
    wrapper(
        SAMPLES, "SamplesGenerator._generate_vllm", "error for a dead engine", "openrlhf_ext.watch:register"
    ),
    wrapper(
        MAKER, "RemoteExperienceMaker.make_experience_batch", "bonus of a group",
        "openrlhf_ext.group_bonus:register",
    ),
    wrapper(
        MAKER, "RemoteExperienceMaker.make_experience", "rollout against actor",
        "openrlhf_ext.probability_difference:register",
    ),
    wrapper(
        MAKER, "RemoteExperienceMaker.make_experience", "the rollout's log-probs",
        "openrlhf_ext.recomputing:register",
    ),
    wrapper(
        "openrlhf.trainer.ray.ppo_actor", "ActorPPOTrainer.training_step", "gradient of dynamic batches",
        "openrlhf_ext.whole_steps:register",
    ),
    actors_method(
        TRAINER, "PPOTrainer", "train_step", "metrics, warnings", "openrlhf_ext.metrics:register",
        "compute_eval_metrics", "BasePPOTrainer.train_step", "BasePPOTrainer.save_logs_and_checkpoints",
        "BasePPOTrainer.save_best_checkpoint",
    ),
    actors_method(
        TRAINER, "PPOTrainer", "broadcast_to_vllm", "deadline for weights, error for a dead rank",
        "openrlhf_ext.watch:register_trainer", "BasePPOTrainer.broadcast_to_vllm",
        "BasePPOTrainer.train_step", "BasePPOTrainer.save_logs_and_checkpoints",
    ),
    actors_method(
        ENGINE, "RolloutRayActor", "__init__", "vLLM's arguments", "openrlhf_ext.engine_args:register",
    ),
    actors_method(
        ENGINE, "RolloutRayActor", "update_weight", "versions of weights",
        "openrlhf_ext.weights_version:register",
    ),
    Seam(
        "openrlhf.datasets", ("SFTDataset",), "SFT data set", "openrlhf_ext.sft_dataset:register",
        _sft_dataset,
    ),
    Seam("openrlhf.datasets", ("PromptDataset",), "prompts", "openrlhf_ext.prompts:register", _prompts),
    wrapper(
        "openrlhf.datasets.utils", "blending_datasets", "reader of data", "openrlhf_ext.blending:register"
    ),
    wrapper(
        "openrlhf.trainer.sft_trainer", "SFTTrainer.save_logs_and_checkpoints", "SFT metrics",
        "openrlhf_ext.metrics:register_sft",
    ),
)  # fmt: skip


def seams() -> tuple[Seam, ...]:
    """Those of this process: the table above, and what its device needs."""
    return (*SEAMS, *chosen_device().seams)
