"""What makes OpenRLHF run on the CPU, and whether upstream still needs it."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openrlhf.models.ring_attn_utils as ring
import openrlhf.trainer.ppo_utils.replay_buffer as replay_buffer
import openrlhf.utils.deepspeed.deepspeed as deepspeed
import openrlhf.utils.distributed_util as distributed_util
import pytest
import torch
from openrlhf.trainer.ray import vllm_engine, vllm_worker_wrap

from openrlhf_ext import engine_args
from openrlhf_ext.cpu import flash_attn, worker_class
from openrlhf_ext.cpu.port import CPU
from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension, with_tied_head
from openrlhf_ext.settings import ENVIRONMENT
from tw_plugins.adapter.device import has_accelerator

pytestmark = pytest.mark.skipif(has_accelerator(), reason="for machines without an accelerator")


def test_the_stand_ins_are_gone_after_the_import() -> None:
    assert ring.unpad_input is flash_attn.unpad_input
    assert importlib.util.find_spec("flash_attn") is None
    assert "flash_attn" not in sys.modules


def test_padding_goes_and_comes_back() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    flat, indices, cumulated, longest, lengths = flash_attn.unpad_input(hidden, mask)
    assert (cumulated.tolist(), longest, lengths.tolist()) == ([0, 2, 5], 3, [2, 3])
    assert torch.equal(flash_attn.pad_input(flat, indices, 2, 3), hidden * mask.unsqueeze(-1))


def test_a_device_name_of_the_cpu_stays_a_name() -> None:
    device = torch.cuda.current_device()
    assert torch.zeros(1).to(device).device.type == "cpu"
    assert replay_buffer.NaiveReplayBuffer(1).target_device == torch.device("cuda:0")


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (ring, "from flash_attn.bert_padding import"),
        (ring, "from flash_attn.utils.distributed import all_gather"),
        (deepspeed, '"cuda", (dp_size, self.ring_attn_size'),
        (distributed_util, "PyNcclCommunicator(pg, device=device)"),
        (distributed_util, "torch.cuda.synchronize()"),
        (replay_buffer, 'torch.device(f"cuda:{torch.cuda.current_device()}")'),
        (vllm_worker_wrap, 'torch.empty(shape, dtype=dtype, device="cuda")'),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.rsplit(".", 1)[-1],
)
def test_upstream_still_has_the_line_that_is_worked_around(where: object, line: str) -> None:
    """When this fails, the module of `openrlhf_ext.cpu` that names the line can go."""
    assert line in inspect.getsource(where)  # type: ignore[arg-type]


def test_without_the_stand_ins_openrlhf_cannot_be_imported() -> None:
    """The first error of whoever has not asked for the CPU: the launcher turns it into one line."""
    done = subprocess.run(
        [sys.executable, "-c", "import openrlhf.models"], capture_output=True, text=True, timeout=200
    )
    assert "No module named 'flash_attn'" in done.stderr


def test_the_worker_answers_upstreams_calls() -> None:
    for name in ("init_process_group", "update_weight"):
        upstream = inspect.signature(getattr(vllm_worker_wrap.WorkerWrap, name))
        ours = inspect.signature(getattr(CPUWorkerExtension, name))
        assert list(ours.parameters) == list(upstream.parameters)


def test_weights_of_another_dtype_are_refused() -> None:
    worker = CPUWorkerExtension()
    worker.model_config = type("config", (), {"dtype": torch.bfloat16})  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"torch.float32, vLLM's torch.bfloat16"):
        worker.update_weight("w", torch.float32, (1,))


def test_a_tied_head_is_sent_as_the_embedding_it_is() -> None:
    embedding, head = torch.zeros(2, 2), torch.ones(2, 2)
    tied = with_tied_head([("model.embed_tokens.weight", embedding)])
    assert [name for name, _ in tied] == ["model.embed_tokens.weight", "lm_head.weight"]
    assert tied[1][1] is embedding
    untied = [("model.embed_tokens.weight", embedding), ("lm_head.weight", head)]
    assert with_tied_head(untied) is untied
    assert with_tied_head([("w", head)]) == [("w", head)]


@pytest.mark.parametrize("users", [None, "users.Worker"])
async def test_upstreams_worker_is_replaced_and_a_users_stays(
    monkeypatch: pytest.MonkeyPatch, users: str | None
) -> None:
    """In the order of the hooks: the device's first."""
    arguments = {} if users is None else {worker_class.ARGUMENT: users}
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"vllm_args": json.dumps(arguments)}))
    found: dict[str, Any] = {}

    class Actor:
        async def __init__(self, **given: Any) -> None:  # type: ignore[misc]
            found.update(given)

    handle = SimpleNamespace(__ray_metadata__=SimpleNamespace(modified_class=Actor))
    module = SimpleNamespace(RolloutRayActor=handle)
    worker_class.register(module)
    engine_args.register(module)
    await Actor.__init__(Actor.__new__(Actor), worker_extension_cls=worker_class.UPSTREAMS)  # type: ignore[misc]
    assert found[worker_class.ARGUMENT] == (users or worker_class.OURS)


def test_upstream_still_names_its_worker_so() -> None:
    assert f'"{worker_class.ARGUMENT}": "{worker_class.UPSTREAMS}"' in inspect.getsource(vllm_engine)
    assert f"{CPUWorkerExtension.__module__}.{CPUWorkerExtension.__name__}" == worker_class.OURS


def test_compiled_operators_are_looked_at_by_this_environments_ninja(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another version starts over, in the middle of a run."""
    other = tmp_path / "ninja"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    CPU.prepare()
    path = os.environ["PATH"]
    assert shutil.which("ninja") == str(Path(sys.executable).with_name("ninja"))
    CPU.prepare()
    assert os.environ["PATH"] == path
