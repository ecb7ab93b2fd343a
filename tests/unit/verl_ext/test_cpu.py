"""The CPU pieces: in place where they are asked for, and a failing test when verl needs one no more."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import logging
import os
import re
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.distributed as dist
import verl.utils.config as verl_config
import verl.utils.device as verl_device
import verl.utils.distributed as verl_distributed
import verl.utils.fsdp_utils as verl_fsdp_utils
import verl.workers.engine.fsdp.transformer_impl as verl_fsdp
from omegaconf import OmegaConf
from verl.checkpoint_engine.base import CheckpointEngineRegistry
from verl.plugin.platform.platform_manager import PlatformRegistry, get_platform
from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

from tests.support.messages import assert_message
from tests.support.ranks import free_port
from tests.support.verl.configs import compose, rl_config
from verl_ext.cpu import platform, plugin, preflight, process_group
from verl_ext.cpu.shared_memory import SharedMemoryTooSmall
from verl_ext.cpu.weight_socket import RUN_ID, name_run, of_this_run
from verl_ext.seams import SUPPORTED

Toy = dict[str, Path]
needs_cpu = pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="there is an accelerator")


@pytest.fixture
def torchrun_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    one_process = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    for name, value in {**one_process, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}.items():
        monkeypatch.setenv(name, value)


def unpatched(module: ModuleType) -> Any:
    """The module's own code, executed again under a name that no hook waits for."""
    spec = importlib.util.spec_from_file_location("verl_as_it_is", inspect.getsourcefile(module))
    assert spec is not None and spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    return fresh


# ------------------------------------------------------------- when a patch can go


@needs_cpu
@pytest.mark.parametrize("name", ["initialize_global_process_group", "initialize_global_process_group_ray"])
def test_verl_still_names_the_cpu_twice(name: str, torchrun_environment: None) -> None:
    """Once this fails, verl_ext/cpu/process_group.py can go."""
    with pytest.raises(ValueError, match="Duplicate device type cpu"):
        try:
            getattr(unpatched(verl_distributed), name)(60)
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()


def test_verl_still_pins_the_reference_models_memory() -> None:
    """Once this fails, the policy of verl_ext/cpu/engine.py can go."""
    assert len(re.findall(r"= CPUOffloadPolicy\(pin_memory=True\)", inspect.getsource(verl_fsdp))) == 1


# ------------------------------------------------------------- what is in place


@needs_cpu
@pytest.mark.parametrize("name", ["initialize_global_process_group", "initialize_global_process_group_ray"])
def test_the_process_group(name: str, torchrun_environment: None) -> None:
    ranks = getattr(verl_distributed, name)(60)
    try:
        assert ranks == ((0, 0, 1) if name == "initialize_global_process_group" else None)
        total = torch.ones(2)
        dist.all_reduce(total)
        assert dist.get_backend() == process_group.BACKEND and total.tolist() == [1, 1]
    finally:
        dist.destroy_process_group()


@needs_cpu
def test_verl_runs_on_the_cpu_platform() -> None:
    assert "cpu" in PlatformRegistry.registered_names()
    assert isinstance(get_platform(), platform.CPUPlatform)
    assert verl_device.get_device_name() == "cpu"
    assert torch.zeros(1).to(verl_device.get_device_id()).device.type == "cpu"
    assert verl_device.get_nccl_backend() == "gloo"


@needs_cpu
def test_what_verl_calls_on_the_device_module() -> None:
    device = verl_device.get_torch_device()
    device.empty_cache()
    device.synchronize()
    device.set_device(0)
    assert not device.is_available() and device.device_count() == 1
    assert device.max_memory_allocated() > 1 << 20
    state = device.get_rng_state()
    first = torch.rand(3)
    device.set_rng_state(state)
    assert torch.equal(torch.rand(3), first)


@needs_cpu
def test_the_reference_models_memory_is_not_pinned() -> None:
    assert verl_fsdp.CPUOffloadPolicy(pin_memory=True).pin_memory is False


# ------------------------------------------------------------- asleep unless asked for


def woken(monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> list[Any]:
    """The seams that the plug-in registers."""
    registered = list[Any]()
    monkeypatch.setattr(plugin, "register_on_import", registered.extend)
    monkeypatch.setenv("PATH", "")  # no driver tool, no GPU
    if chosen is None:
        monkeypatch.delenv("VERL_PLATFORM", raising=False)
    else:
        monkeypatch.setenv("VERL_PLATFORM", chosen)
    plugin.install()
    return registered


@pytest.mark.parametrize("chosen", ["cpu", "CPU", " cpu "])
def test_verls_own_variable_wakes_it(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    assert woken(monkeypatch, chosen) == list(plugin.SEAMS)


@pytest.mark.parametrize("chosen", [None, "", "nvidia", "amd"])
def test_nothing_else_does(monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> None:
    assert woken(monkeypatch, chosen) == []


def test_off_it_says_why_verl_has_no_such_platform(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(SUPPORTED), "problems", lambda self: ["torch 1.0 is installed"])
    with caplog.at_level(logging.ERROR):
        assert woken(monkeypatch, "cpu") == []
    assert caplog.messages == [
        "VERL_PLATFORM=cpu is ThreadWeaver's platform, which is off, so verl has none: torch 1.0 is installed"
    ]


# ------------------------------------------------------------- settings


def test_too_little_shared_memory(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        "verl_ext.cpu.shared_memory.shutil.disk_usage", lambda path: usage(64 << 20, 0, 64 << 20)
    )
    with pytest.raises(SharedMemoryTooSmall) as error:
        preflight.check(rl_config(toy))
    assert_message(error.value, "64 MiB free, the run needs 492 MiB: enlarge it .*--shm-size")


@needs_cpu
@pytest.mark.parametrize("setting", ["lora_rank=8", "lora.rank=8"])
def test_lora_ends_the_command_in_one_line(toy: Toy, setting: str) -> None:
    config = rl_config(toy, f"actor_rollout_ref.model.{setting}")
    with pytest.raises(SystemExit) as stopped:
        verl_config.validate_config(config, use_reference_policy=False, use_critic=False)
    assert str(stopped.value) == (
        "error: LoRA weights do not reach vLLM on the CPU: set actor_rollout_ref.model.lora_rank=0"
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl",
            "backend=nccl brings no weights .*: set gloo",
        ),
        ("trainer.v1.separate_async.parameter_sync_step=2", "sync_step=2: on the CPU verl keeps no .*=1$"),
    ],
)
def test_a_rollout_pool_on_the_cpu(toy: Toy, setting: str, message: str) -> None:
    with pytest.raises(preflight.UnsupportedOnCPU) as error:
        preflight.check(rl_config(toy, setting, name="toy_p_grpo_separate_async"))
    assert_message(error.value, message)


def test_verl_still_keeps_no_copy_on_the_cpu() -> None:
    """Once this fails, several updates a step need not be refused there."""
    source = inspect.getsource(verl_fsdp_utils.fsdp2_sharded_save_to_cpu)
    assert "local_cpu_tensor = local_gpu_tensor.detach().cpu()" in source


@needs_cpu
def test_the_driver_names_the_run(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID, "before")
    verl_config.validate_config(rl_config(toy), use_reference_policy=False, use_critic=False)
    assert os.environ[RUN_ID] != "before"


def test_rays_workers_are_told_of_the_platform() -> None:
    """verl merges the recipe's `runtime_env` into its own, for a Ray that does not inherit ours."""
    ours = compose("toy_p_grpo").ray_kwargs.ray_init.runtime_env
    merged = OmegaConf.merge(get_ppo_ray_runtime_env(), ours)
    assert merged.env_vars.VERL_PLATFORM == "cpu" and len(merged.env_vars) > 1


# ------------------------------------------------------------- weights into vLLM


@needs_cpu
def test_weights_reach_each_worker_of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks of the actor, two workers, twice, as `CheckpointEngineManager.update_weights` asks them."""
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "127.0.0.1")
    kind: Any = CheckpointEngineRegistry.get("gloo")
    engines = [kind(1, is_master=rank == 0) for rank in range(4)]
    weights = [("a", torch.randn(4, 3).T), ("b", torch.randn(5).bfloat16()), ("c", torch.tensor(3.0))]

    async def received(engine: Any) -> list[tuple[str, torch.Tensor]]:
        return [weight async for weight in engine.receive_weights()]

    for _ in range(2):
        topology = kind.build_topology(2, 2, [engine.prepare() for engine in engines])
        how = [{key: values[n] for key, values in side.items()} for side in topology for n in (0, 1)]
        with ThreadPoolExecutor(len(engines)) as processes:
            list(processes.map(lambda engine, kwargs: engine.init_process_group(**kwargs), engines, how))
            sent = [processes.submit(asyncio.run, each.send_weights(iter(weights))) for each in engines[:2]]
            got = [processes.submit(asyncio.run, received(engine)) for engine in engines[2:]]
            assert [future.result(60) for future in sent] == [None, None]
            for future in got:
                for (name, weight), (its_name, expected) in zip(future.result(60), weights, strict=True):
                    assert (name, weight.dtype) == (its_name, expected.dtype)
                    assert torch.equal(weight, expected)
        for engine in engines:
            engine.finalize()


def test_weights_are_reloaded_once_from_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vllm")
    from verl_ext.cpu import vllm_worker

    shared = torch.ones(2)  # verl's bucket: one piece of memory for all messages

    class Receiver:
        def __init__(self, handle: str, device: torch.device, use_shm: bool) -> None:
            assert (handle, device.type, use_shm) == ("ipc://x", "cpu", True)

        def receive_weights(self, on_bucket_received: Any) -> None:
            on_bucket_received([("a", shared)], is_last=False)
            shared.fill_(2)
            on_bucket_received([("b", shared)], is_last=True)
            shared.fill_(3)

    reloads = []
    worker = vllm_worker.CPUWorkerExtension.__new__(vllm_worker.CPUWorkerExtension)
    worker._get_zmq_handle = lambda: "ipc://x"
    worker.reload_weights = lambda weights_iterator: reloads.append(
        {name: tensor.tolist() for name, tensor in weights_iterator}
    )
    monkeypatch.setattr(vllm_worker, "BucketedWeightReceiver", Receiver)
    worker.update_weights_from_ipc(use_shm=True)
    assert reloads == [{"a": [1, 1], "b": [2, 2]}]


@pytest.mark.parametrize("arguments", [{"peft_config": {"r": 8}, "use_shm": True}, {"use_shm": False}])
def test_what_the_cpu_cannot_sync_is_refused(arguments: dict[str, Any]) -> None:
    pytest.importorskip("vllm")
    from verl_ext.cpu.vllm_worker import CPUWorkerExtension

    with pytest.raises(NotImplementedError, match="switch LoRA off"):
        CPUWorkerExtension.__new__(CPUWorkerExtension).update_weights_from_ipc(**arguments)


@needs_cpu
def test_verl_still_gives_every_run_on_a_machine_the_same_socket() -> None:
    """Once this fails, verl_ext/cpu/weight_socket.py can go."""
    from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter

    source = inspect.getsource(ServerAdapter.__init__.__wrapped__)
    assert "ray.get_runtime_context().get_job_id()" in source
    assert "/tmp/rl-colocate-zmq-{job_id}-replica-{self.replica_rank}-rank-{local_rank}.sock" in source


@needs_cpu
def test_runs_have_sockets_of_their_own_and_both_ends_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID, "before")
    handles = set()
    for _ in range(2):
        name_run()
        handles.add(of_this_run("ipc:///tmp/x.sock"))
        assert of_this_run("ipc:///tmp/x.sock") in handles
    assert len(handles) == 2
    assert all(handle.startswith("ipc:///tmp/x-") and handle.endswith(".sock") for handle in handles)
