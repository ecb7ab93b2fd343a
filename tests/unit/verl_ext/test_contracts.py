"""Every function, field and key of verl that we call, wrap or override is as it was when we did."""

from __future__ import annotations

import importlib
import inspect
import math
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import verl.trainer
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.support.contracts import check
from tw_plugins.adapter.seams import Seam
from verl_ext import watch
from verl_ext.cpu import seams as cpu
from verl_ext.seams import SEAMS

V1, ENGINE = "verl.trainer.ppo.v1", "verl.workers.engine.fsdp.transformer_impl"
LOOP, ROLLOUT = "verl.experimental.agent_loop.agent_loop", "verl.workers.rollout"
PARAMETERS = {
    ("verl.plugin.platform.platform_manager", "PlatformRegistry.register"): "platform",
    ("verl.utils.distributed", "initialize_global_process_group_ray"): "timeout_second backend",
    (ENGINE, "FSDPEngineWithLMHead.prepare_model_inputs"): "self micro_batch",
    (ENGINE, "EngineRegistry.register"): "model_type backend device vendor",
    (LOOP, "register"): "agent_name",
    (LOOP, "AgentLoopBase.run"): "self sampling_params kwargs",
    ("verl.trainer.ppo.core_algos", "register_adv_est"): "name_or_enum",
    (f"{V1}.trainer_base", "register_trainer"): "name",
    (f"{V1}.trainer_base", "PPOTrainer._setup"): "self",
    (f"{V1}.trainer_base", "PPOTrainer._build_replay_buffer"): "self",
    (f"{V1}.trainer_base", "PPOTrainer._compute_advantage"): "self batch metrics",
    (f"{V1}.trainer_base", "PPOTrainer._compute_metrics"): (
        "self batch metrics timing_raw global_steps epoch"
    ),
    (f"{V1}.trainer_base", "PPOTrainer._save_checkpoint"): "self",
    (f"{V1}.trainer_base", "PPOTrainer._load_checkpoint"): "self",
    (f"{V1}.trainer_base", "PPOTrainer._log_rollout_data"): "self batch timing_raw rollout_data_dir",
    (f"{V1}.trainer_base", "PPOTrainer._compute_old_log_prob"): "self batch metrics",
    (f"{V1}.trainer_base", "PPOTrainer._dump_generations"): (
        "self inputs outputs gts scores reward_extra_infos_dict dump_path"
    ),
    (f"{V1}.trainer_base", "PPOTrainer._val_metrics_update"): (
        "self data_sources sample_uids reward_extra_infos_dict sample_turns expected_acc_counts"
    ),
    (f"{V1}.replay_buffer", "ReplayBuffer._wait_for_next_poll"): "self partition_id last_debug_time",
    (f"{V1}.replay_buffer", "ReplayBuffer._evict_terminal_groups"): (
        "self global_steps partition_id eviction_reasons"
    ),
    (f"{ROLLOUT}.llm_server", "LLMServerClient.generate"): (
        "self request_id prompt_ids sampling_params image_data video_data audio_data "
        "mm_processor_kwargs kwargs"
    ),
    (f"{ROLLOUT}.vllm_rollout.vllm_rollout", "ServerAdapter"): (
        "config model_config device_mesh replica_rank"
    ),
    (f"{ROLLOUT}.vllm_rollout.bucketed_weight_transfer", "BucketedWeightReceiver"): (
        "zmq_handle device use_shm"
    ),
    (f"{ROLLOUT}.vllm_rollout.bucketed_weight_transfer", "BucketedWeightReceiver.receive_weights"): (
        "self on_bucket_received"
    ),
    (f"{ROLLOUT}.vllm_rollout.utils", "vLLMColocateWorkerExtension.update_weights_from_ipc"): (
        "self peft_config base_sync_done use_shm"
    ),
    ("verl.checkpoint_engine.base", "CheckpointEngineRegistry.register"): "backend",
    ("verl.checkpoint_engine.base", "CheckpointEngine.build_topology"): (
        "actor_wg_world_size rollout_world_size metadata"
    ),
    ("verl.checkpoint_engine.base", "CheckpointEngine.send_weights"): "self weights global_steps",
    ("verl.checkpoint_engine.base", "CheckpointEngine.receive_weights"): "self global_steps",
    ("verl.workers.engine.fsdp.utils", "unfuse_moe_params"): "weights model_type",
    ("verl.utils.device", "is_support_ipc"): "",
    ("verl.utils.config", "validate_config"): "config use_reference_policy use_critic",
    ("verl.utils.device", "auto_set_device"): "config",
    ("verl.workers.engine.base", "BaseEngine.train_batch"): "self data loss_function",
    ("verl.workers.engine.base", "BaseEngine.infer_batch"): "self data loss_function",
    ("verl.utils.tracking", "FileLogger.__init__"): "self project_name experiment_name",
    ("verl.utils.tracking", "FileLogger.log"): "self data step",
    ("verl.single_controller.ray.base", "RayWorkerGroup.__init__"): (
        "self resource_pool ray_cls_with_init bin_pack name_prefix detached worker_names worker_handles "
        "ray_wait_register_center_timeout kwargs"
    ),
    ("hydra.core.config_store", "ConfigStore.store"): "self name node group package provider",
}
FIELDS = {
    (LOOP, "AgentLoopOutput"): {
        "prompt_ids", "response_ids", "response_mask", "response_logprobs", "num_turns", "metrics",
        "extra_fields",
    },
    ("verl.workers.config", "RolloutConfig"): {"custom", "engine_kwargs", "agent"},
    (f"{ROLLOUT}.replica", "TokenOutput"): {"token_ids", "log_probs", "stop_reason", "extra_fields"},
}  # fmt: skip
SETTINGS = (
    "algorithm.rollout_correction.bypass_mode",
    "actor_rollout_ref.actor.optim.override_optimizer_config",
    "actor_rollout_ref.rollout.agent.default_agent_loop",
    "actor_rollout_ref.rollout.calculate_log_probs",
    "actor_rollout_ref.rollout.engine_kwargs.vllm",
    "actor_rollout_ref.model.override_config",
    "actor_rollout_ref.actor.loss_agg_mode",
    "algorithm.adv_estimator",
    "algorithm.norm_adv_by_std_in_grpo",
    "data.custom_cls.path",
    "reward.custom_reward_function.path",
    "reward.custom_reward_function.name",
    "trainer.v1.trainer_mode",
    "trainer.v1.separate_async.parameter_sync_step",
    "actor_rollout_ref.hybrid_engine",
    "actor_rollout_ref.rollout.nnodes",
    "actor_rollout_ref.rollout.n_gpus_per_node",
    "actor_rollout_ref.rollout.checkpoint_engine.backend",
    "trainer.rollout_data_dir",
    "trainer.save_freq",
    "trainer.default_local_dir",
    "trainer.resume_mode",
)


def verls_config() -> Any:
    with initialize_config_dir(str(Path(verl.trainer.__file__).parent / "config"), version_base=None):
        return compose("ppo_trainer")


@pytest.mark.parametrize(("module", "name"), PARAMETERS, ids=lambda part: part)
def test_parameters(module: str, name: str) -> None:
    check(module, name, PARAMETERS[module, name])


@pytest.mark.parametrize(("module", "name"), FIELDS, ids=lambda part: part)
def test_fields(module: str, name: str) -> None:
    there = set(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    assert FIELDS[module, name] <= there, f"{module}.{name} has lost {FIELDS[module, name] - there}"


def test_settings_of_verls_own_config() -> None:
    absent = object()
    config = verls_config()
    assert [key for key in SETTINGS if OmegaConf.select(config, key, default=absent) is absent] == []


def test_keys_of_rows() -> None:
    """`last_rows` and `group_of` read `{uid}_{session}_{row}`, as `v1/agent_loop_tq.py` writes it."""
    worker = importlib.import_module(f"{V1}.agent_loop_tq").AgentLoopWorkerTQ
    source = inspect.getsource(worker.__ray_metadata__.modified_class._agent_loop_postprocess)
    assert 'f"{uid}_{session_id}_{i}"' in source


def test_names_that_the_watch_reads() -> None:
    """`verl_ext.watch` looks at the servers and agent loops by these attributes."""
    trainer = importlib.import_module(f"{V1}.trainer_base")
    manager = importlib.import_module(f"{V1}.agent_loop_tq").AgentLoopManagerTQ
    server = importlib.import_module(f"{ROLLOUT}.llm_server").LLMServerManager
    for kind, name in ((server, "server_handles"), (manager, "agent_loop_workers")):
        set_there = any(f"self.{name} " in inspect.getsource(base) for base in kind.__mro__[:-1])
        assert set_there or hasattr(kind, name), f"{inspect.getfile(kind)}: {kind.__name__} has no {name}"
    setup = inspect.getsource(trainer.PPOTrainer)
    for name in ("actor_rollout_wg", "checkpoint_manager", "_rollout_server_managers"):
        assert f"self.{name}" in setup, name
    separate = importlib.import_module(f"{V1}.trainer_separate_async").PPOTrainerSeparateAsync
    assert "self.standalone_checkpoint_manager" in inspect.getsource(separate)


@pytest.mark.parametrize(
    "name", ["update_weights", "sleep_replicas", "abort_replicas", "resume_generation_replicas"]
)
def test_methods_that_get_a_deadline(name: str) -> None:
    """`verl_ext.watch.Bounded` waits for each call in a thread of its own: it must not be a coroutine."""
    method = getattr(importlib.import_module("verl.checkpoint_engine.base").CheckpointEngineManager, name)
    assert callable(method) and not inspect.iscoroutinefunction(method)


@pytest.mark.parametrize("mode", ["threadweaver_sync", "threadweaver_colocate_async", "colocate_async"])
def test_every_mode_but_sync_is_asynchronous_to_verl(mode: str) -> None:
    """`trainer_base.py` compares the mode's name with "sync", also for the prompts it fetches at a time."""
    base = importlib.import_module(f"{V1}.trainer_base")
    buffers = importlib.import_module(f"{V1}.replay_buffer")
    trainer = object.__new__(importlib.import_module(f"{V1}.trainer_sync").PPOTrainerSync)
    trainer.trainer_mode, trainer.config = mode, verls_config()
    buffer = base.PPOTrainer._build_replay_buffer(trainer)
    assert type(buffer) is buffers.ReplayBufferAsync
    assert 'requires_exact_refill = self.trainer_mode != "sync"' in inspect.getsource(base.PPOTrainer)


def test_our_modes_ask_the_replay_buffer_more_often() -> None:
    """verl takes `poll_interval` from no setting; a buffer reads it before each sleep."""
    base, waits = importlib.import_module(f"{V1}.trainer_base"), list[float]()
    trainer = object.__new__(base.TRAINER_REGISTRY["threadweaver_sync"])
    trainer.trainer_mode, trainer.config = "threadweaver_sync", verls_config()
    buffer = trainer._build_replay_buffer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module(f"{V1}.replay_buffer").time, "sleep", waits.append)
        buffer._wait_for_next_poll("train", math.inf)
    assert waits == [watch.POLL_S]


@pytest.mark.parametrize("seam", (*SEAMS, *cpu.SEAMS), ids=lambda seam: seam.piece)
def test_what_a_seam_names_is_there(seam: Seam) -> None:
    """In verl, and its registrar in ours; of each module the parameters of something are held above."""
    module, _, function = seam.register.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    upstream = importlib.import_module(seam.module)
    assert all(attrgetter(name)(upstream) is not None for name in seam.attributes)
    assert seam.module in {module for module, _ in PARAMETERS}
