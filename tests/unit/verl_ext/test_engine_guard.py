"""Every way on which rows with branches could lose their mask in verl ends the run in a line."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import verl.utils.device as verl_device
import verl.workers.engine
from tensordict import TensorDict
from verl.trainer.ppo.v1 import trainer_base
from verl.trainer.sft_trainer import create_sft_dataset
from verl.utils.tensordict_utils import get_tensordict
from verl.workers.engine.base import BaseEngine

from tests.support.messages import assert_message
from tests.support.verl.configs import rl_config, sft_config
from tw_plugins.adapter.seams import wrapped_by
from tw_plugins.errors import in_one_line
from tw_plugins.trie import promise
from tw_plugins.trie.promise import UnmaskedRows
from verl_ext import engine_guard, sft_preflight
from verl_ext.row_positions import ROW_FIELD
from verl_ext.seams import SUPPORTED
from verl_ext.trainer import _set_up
from verl_ext.trie_engine import TrieEngine

Toy = dict[str, Path]
PLAIN, BRANCHES = [0, 1, 2, 3, 0, 1], [0, 1, 2, 3, 2, 3]


class OtherEngine(BaseEngine):
    """Any that is not ours: all that verl has inherit what is guarded."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def optimizer_zero_grad(self) -> None:
        self.did.append("zero_grad")

    def forward_backward_batch(self, data: Any, loss_function: Any, forward_only: bool = False) -> Any:
        self.did.append("forward")
        return {"metrics": {}}

    def optimizer_step(self) -> float:
        return 0.0

    def is_mp_src_rank_with_outputs(self) -> bool:
        return False


def jagged(*rows: list[int]) -> torch.Tensor:
    return torch.nested.nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)


def sft_batch(*positions: list[int], padded: bool = False) -> TensorDict:
    made = torch.tensor(positions) if padded else jagged(*positions)
    return TensorDict({"input_ids": made, "position_ids": made}, batch_size=len(positions))


def rl_batch(*branches: list[list[int]]) -> Any:
    rows = [list(range(6)) for _ in branches]
    fields = [{ROW_FIELD: {"length": 6, "branches": each}} for each in branches]
    made = {"input_ids": jagged(*rows), "position_ids": jagged(*rows), "extra_fields": fields}
    return get_tensordict(made, {})


@pytest.mark.parametrize("call", engine_guard.GUARDED)
@pytest.mark.parametrize(
    "batch",
    [
        sft_batch(PLAIN, BRANCHES),
        sft_batch(PLAIN, BRANCHES, padded=True),
        rl_batch([], [[4, 2, 2]]),
    ],
    ids=["sft", "padded", "rl"],
)
def test_another_engine_refuses_branches_before_it_does_anything(batch: Any, call: str) -> None:
    engine = OtherEngine()
    with pytest.raises(UnmaskedRows) as caught:
        getattr(engine, call)(batch, None)
    assert_message(
        str(caught.value), "OtherEngine would train rows with branches as if .*engine fsdp or fsdp2"
    )
    assert engine.did == []


@pytest.mark.parametrize("batch", [sft_batch(PLAIN), rl_batch([], [])], ids=["sft", "rl"])
def test_rows_without_branches_are_any_engines(batch: Any) -> None:
    engine = OtherEngine()
    engine.train_batch(batch, None)
    engine.infer_batch(batch, None)
    assert engine.did == ["zero_grad", "forward", "forward"]


def test_ours_takes_them() -> None:
    engine = object.__new__(TrieEngine)
    engine_guard.check(engine, sft_batch(BRANCHES))


def test_no_engine_of_verls_goes_round_what_is_guarded() -> None:
    """Read as text: Megatron and others are not installed here."""
    folder = Path(verl.workers.engine.__file__).parent
    sources = sorted(folder.rglob("transformer_impl.py"))
    assert {"fsdp", "megatron", "veomni", "torchtitan", "automodel"} <= {path.parent.name for path in sources}
    for path in sources:
        for kind in ast.walk(ast.parse(path.read_text())):
            if isinstance(kind, ast.ClassDef):
                own = {each.name for each in kind.body if isinstance(each, ast.FunctionDef)}
                assert own.isdisjoint(engine_guard.GUARDED), f"{path}: {kind.name}"


ULYSSES = "engine.ulysses_sequence_parallel_size"


@pytest.mark.parametrize(
    ("change", "said"),
    {
        **{
            name: (f"engine.strategy={name}", f"not {name}: set engine=fsdp engine.strategy=fsdp2")
            for name in ("megatron", "veomni", "torchtitan", "automodel")
        },
        "flash attention": (
            "model.override_config.attn_implementation=flash_attention_2",
            r"not flash_attention_2: set \+model\.override_config\.attn_implementation=trie",
        ),
        "verl's own attention": ("model.override_config=null", "mask, not flash_attention_2"),
        "a padded row over ranks": (
            f"{ULYSSES}=2", "=2 splits rows that are packed: set model.use_remove_padding=True"
        ),
    }.values(),
)  # fmt: skip
def test_settings_of_sft_that_lose_the_mask(toy: Toy, change: str, said: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        verl_device.auto_set_device(sft_config(toy, change))
    assert_message(str(stopped.value), f"^error: .*{said}")
    verl_device.auto_set_device(sft_config(toy, change, "data.custom_cls.name=null"))  # not ours


def test_of_sft_rows_can_be_split(toy: Toy) -> None:
    packed = "model.use_remove_padding=true"
    verl_device.auto_set_device(sft_config(toy, packed, f"{ULYSSES}=2"))
    with pytest.raises(SystemExit, match=rf"{ULYSSES}=64: qwen3 has \d+ attention heads, which 64 ranks"):
        verl_device.auto_set_device(sft_config(toy, packed, f"{ULYSSES}=64"))


def test_of_sft_a_model_that_disagrees_on_its_end_is_named(
    toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = shutil.copytree(toy["model"], tmp_path / "model")
    (model / "generation_config.json").write_text('{"eos_token_id": 0}')
    verl_device.auto_set_device(sft_config(toy))
    assert not any("end of turn" in message for message in caplog.messages)
    verl_device.auto_set_device(sft_config({**toy, "model": model}))
    assert any(f"{model}: end of turn: the tokenizer" in message for message in caplog.messages)


def test_versions_with_which_sft_would_lose_it(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    later = replace(SUPPORTED, versions={**SUPPORTED.versions, "transformers": ">=999"})
    monkeypatch.setattr(sft_preflight, "SUPPORTED", later)
    with pytest.raises(SystemExit, match=r"^error: transformers .* is installed; verl_ext supports .*>=999"):
        verl_device.auto_set_device(sft_config(toy))


def test_a_plug_in_that_is_not_loaded(toy: Toy) -> None:
    """The data set is then all there is of ThreadWeaver in the process."""
    code = (
        "import verl\n"
        "from tw_plugins.sft import TrieSFTDataset\n"
        f"TrieSFTDataset({str(toy['sft'])!r}, tokenizer=None, config={{}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "VERL_USE_EXTERNAL_PLUGINS": "none"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert_message(last, "^error: rows with branches would be trained as .*VERL_USE_EXTERNAL_PLUGINS unset")


def test_nobody_has_promised(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "_promised", False)
    config = sft_config(toy)
    with pytest.raises(SystemExit, match="plug-in is not loaded in this"):
        create_sft_dataset(str(toy["sft"]), config.data, None, None)
    promise.promise_mask()
    with in_one_line():
        promise.demand_mask()


class Worker:
    """A Ray worker whose process has loaded the plug-in, or has not."""

    def __init__(self, guarded: bool) -> None:
        self.__ray_call__ = SimpleNamespace(remote=lambda _: guarded)


@pytest.mark.parametrize("ours", [True, False])
def test_workers_without_it_end_the_run_before_the_first_step(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    monkeypatch.setattr("ray.get", lambda answers: answers)
    config = rl_config(toy)
    if not ours:
        for section, key in (
            (config.algorithm, "adv_estimator"),
            (config.actor_rollout_ref.rollout.agent, "default_agent_loop"),
            (config.actor_rollout_ref.rollout, "custom"),
            (config.reward.custom_reward_function, "path"),
        ):
            section[key] = None
    group = SimpleNamespace(workers=[Worker(True), Worker(False)])
    trainer = SimpleNamespace(config=config, actor_rollout_wg=group)
    setup = _set_up(lambda self: None)
    if ours:
        with pytest.raises(UnmaskedRows, match=r"1 of 2 workers would train .* on every node"):
            setup(trainer)
        group.workers.pop()
    setup(trainer)
    assert wrapped_by("verl_ext.trainer", "PPOTrainer._setup")(trainer_base)


def test_workers_of_sft_on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver has made the data set, then it makes the workers."""
    monkeypatch.setattr("ray.get", lambda answers: answers)

    class RayWorkerGroup:
        def __init__(self, workers: list[Worker]) -> None:
            self.workers = workers

    engine_guard.register_workers(SimpleNamespace(RayWorkerGroup=RayWorkerGroup))
    monkeypatch.setattr(promise, "_demanded", False)
    RayWorkerGroup([Worker(False)])  # nobody has asked for a mask
    promise.demand_mask()
    RayWorkerGroup([Worker(True)])
    with pytest.raises(UnmaskedRows, match=r"1 of 1 workers would train .* on every node"):
        RayWorkerGroup([Worker(False)])


def test_this_process_is_guarded() -> None:
    assert engine_guard.is_guarded()
