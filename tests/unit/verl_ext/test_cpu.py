"""The CPU pieces: in place, inert with an accelerator, and a failing test when verl needs one no more."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
import verl.utils.device as verl_device
import verl.utils.distributed as verl_distributed
import verl.workers.engine.fsdp.transformer_impl as verl_fsdp
from verl.plugin.platform.platform_manager import PlatformRegistry, get_platform

from tests.support.verl.configs import free_port
from verl_ext.cpu import offload, platform, process_group
from verl_ext.cpu.detect import on_cpu

needs_cpu = pytest.mark.skipif(not on_cpu(), reason="there is an accelerator")


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
    """Once this fails, verl_ext/cpu/offload.py can go."""
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


# ------------------------------------------------------------- inert with an accelerator


def test_chosen_by_verls_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for chosen in ("nvidia", "CPU", "amd"):
        monkeypatch.setenv("VERL_PLATFORM", chosen)
        assert on_cpu() == (chosen == "CPU")


@pytest.mark.parametrize("tool", ["nvidia-smi", "rocm-smi", "npu-smi", "another"])
def test_found_by_the_drivers_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: str) -> None:
    (tmp_path / tool).write_text("#!/bin/sh\n")
    (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    assert on_cpu() == (tool == "another")


def test_nothing_is_touched_with_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "nvidia")
    untouched: dict[str, Any] = {
        "initialize_global_process_group": object(),
        "initialize_global_process_group_ray": object(),
        "CPUOffloadPolicy": object(),
        "PlatformRegistry": object(),  # has no `register`: calling it would raise
    }
    verl_module: Any = SimpleNamespace(**untouched)
    process_group.register(verl_module)
    offload.patch(verl_module)
    platform.register(verl_module)
    assert vars(verl_module) == untouched


# ------------------------------------------------------------- weights into vLLM


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
    from verl_ext.cpu.weight_socket import RUN_ID, name_run, of_this_run

    monkeypatch.setenv(RUN_ID, "before")
    handles = set()
    for _ in range(2):
        name_run()
        handles.add(of_this_run("ipc:///tmp/x.sock"))
        assert of_this_run("ipc:///tmp/x.sock") in handles
    assert len(handles) == 2
    assert all(handle.startswith("ipc:///tmp/x-") and handle.endswith(".sock") for handle in handles)
