"""Every function of OpenRLHF that we call, wrap or override has the parameters it had when we did."""

from __future__ import annotations

import importlib

import pytest

from openrlhf_ext.seams import ENGINE, MAKER, SAMPLES, SEAMS, TRAINER, seams
from tests.support.contracts import check
from tests.support.root import ROOT

PARAMETERS = {
    ("openrlhf.utils", "get_strategy"): "args",
    ("openrlhf.trainer.ray.ppo_actor", "ActorPPOTrainer.training_step"): (
        "self experience kl_ctl step loss_batch_info"
    ),
    ("torch.utils.cpp_extension", "FileBaton.try_acquire"): "self",
    ("torch.utils.cpp_extension", "FileBaton.wait"): "self",
    ("torch.utils.cpp_extension", "FileBaton.release"): "self",
    ("openrlhf.utils.utils", "convert_to_torch_dtype"): "param_dtype",
    ("openrlhf.utils.agent", "AgentExecutorBase.execute"): (
        "self prompt label sampling_params max_length hf_tokenizer llm_engine images"
    ),
    ("openrlhf.models.actor", "Actor.forward"): (
        "self sequences action_mask attention_mask return_output allgather_logits return_logprobs "
        "ring_attn_group packed_seq_lens return_entropy mm_inputs"
    ),
    ("openrlhf.models.actor", "unpad_and_slice_tensor"): "sequences attention_mask ring_attn_group",
    ("openrlhf.models.actor", "log_probs_from_logits"): "logits labels temperature",
    ("openrlhf.models.actor", "compute_entropy"): "logits",
    ("openrlhf.utils.deepspeed.deepspeed", "DeepspeedStrategy.setup_ring_attn"): "self ds_device_mesh",
    ("openrlhf.utils.deepspeed.deepspeed", "get_ring_attn_group"): "",
    ("openrlhf.utils.deepspeed.deepspeed", "set_ring_attn_group"): "group",
    (SAMPLES, "SamplesGenerator._process_response_into_experience"): "self response generate_kwargs",
    (SAMPLES, "SamplesGenerator._generate_vllm"): (
        "self dataloader_iter num_prompts dynamic_filtering generate_kwargs"
    ),
    (MAKER, "RemoteExperienceMaker.make_experience"): "self samples_list",
    (MAKER, "RemoteExperienceMaker.make_experience_batch"): "self rollout_samples",
    ("openrlhf.trainer.ray.launcher", "RayActorGroup.async_run_method"): "self method_name args kwargs",
    ("openrlhf.trainer.ray.launcher", "RayActorGroup.async_run_method_batch"): "self method_name kwargs",
    (ENGINE, "RolloutRayActor.__ray_metadata__.modified_class.update_weight"): (
        "self name dtype shape empty_cache"
    ),
    (ENGINE, "RolloutRayActor.__ray_metadata__.modified_class.update_weight_cuda_ipc"): (
        "self name dtype shape ipc_handles empty_cache"
    ),
    (TRAINER, "compute_eval_metrics"): "eval_dataloader samples_list n_samples_per_prompt",
    (TRAINER, "BasePPOTrainer.broadcast_to_vllm"): "self",
    (TRAINER, "BasePPOTrainer.train_step"): "self rollout_samples global_step",
    (TRAINER, "BasePPOTrainer.save_logs_and_checkpoints"): "self global_step logs_dict client_states",
    (TRAINER, "BasePPOTrainer.save_best_checkpoint"): "self eval_metrics global_step client_states",
    ("openrlhf.datasets.sft_dataset", "SFTDataset"): (
        "dataset tokenizer max_length strategy input_template pretrain_mode num_processors multiturn"
    ),
    ("openrlhf.datasets.prompts_dataset", "PromptDataset"): "dataset tokenizer strategy input_template",
    ("openrlhf.datasets.utils", "blending_datasets"): (
        "datasets probabilities strategy seed max_count stopping_strategy dataset_split"
    ),
    ("openrlhf.trainer.sft_trainer", "SFTTrainer.save_logs_and_checkpoints"): (
        "self args global_step step_bar logs_dict client_states"
    ),
    ("openrlhf.utils.distributed_util", "stateless_init_process_group"): (
        "master_address master_port rank world_size device"
    ),
}
NOT_CALLED = {
    ("openrlhf.datasets", "SFTDataset"),  # the name, whose class is in `sft_dataset`
    ("openrlhf.datasets", "PromptDataset"),  # likewise, in `prompts_dataset`
    ("openrlhf.trainer.ppo_trainer", "PPOTrainer"),  # the actor: its methods are `BasePPOTrainer`'s
    (ENGINE, "RolloutRayActor"),  # its arguments pass through
    ("openrlhf.models.actor", "Actor.__init__"),  # so do these
    ("openrlhf.models.ring_attn_utils", "unpad_input"),  # ours, in the place of flash-attn's
    ("openrlhf.models.ring_attn_utils", "pad_input"),
    ("openrlhf.utils.deepspeed.deepspeed", "init_device_mesh"),  # torch's
}


@pytest.mark.parametrize(("module", "name"), PARAMETERS, ids=lambda part: part)
def test_parameters(module: str, name: str) -> None:
    check(module, name, PARAMETERS[module, name])


def test_no_seam_is_left_out() -> None:
    used = {(seam.module, name) for seam in seams() for name in seam.attributes}
    assert used - NOT_CALLED <= PARAMETERS.keys()
    assert used >= NOT_CALLED


def test_every_registrar_is_there_and_stands_once() -> None:
    registrars = [(seam.module, seam.register) for seam in seams()]
    assert len(set(registrars)) == len(registrars)
    for _, registrar in registrars:
        module, _, function = registrar.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_documents_name_every_file() -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    for seam in SEAMS:
        package, _, name = seam.register.partition(":")[0].partition(".")
        assert f"{package}/{name}.py" in text or f"`{name}.py`" in text, seam.piece
