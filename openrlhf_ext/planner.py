"""An OpenRLHF recipe in the planner's words; `threadweaver plan` asks the group `tw_plugins.planners`.

A recipe is a shell script that has its flags in arrays, `ARGS=(…)` or `…_ARGS=(…)`; nothing of it is run.
OpenRLHF is not imported: its parsers live in `__main__` blocks. The flags that memory hangs on are declared
here with upstream's defaults, which a contract test holds.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from openrlhf_ext.settings import RLSettings, SFTSettings
from tw_plugins.planning.errors import PlanError
from tw_plugins.planning.job import Job, Remedy, Rollout, State, Training
from tw_plugins.planning.remedies import combinations

BOTH: dict[str, Any] = {
    "--data.max_len": 2048,
    "--ds.zero_stage": 2,
    "--ds.adam_offload": False,
    "--ds.ring_attn_size": 1,
}
RL: dict[str, Any] = {
    **BOTH,
    "--train.micro_batch_size": 1,
    "--actor.model_name_or_path": None,
    "--actor.num_nodes": 1,
    "--actor.num_gpus_per_node": 8,
    "--actor.gradient_checkpointing_enable": False,
    "--train.colocate_all": False,
    "--train.dynamic_batch_enable": False,
    "--train.max_tokens_per_gpu": 16192,
    "--vllm.num_engines": None,
    "--vllm.tensor_parallel_size": 1,
    "--vllm.gpu_memory_utilization": 0.95,
    "--vllm.enable_sleep": False,
    "--ds.enable_sleep": False,
    "--rollout.batch_size": 1024,
    "--rollout.n_samples_per_prompt": 1,
    "--rollout.max_new_tokens": None,
    "--algo.kl.init_coef": 0.01,
    "--train.colocate_actor_ref": False,
}
SFT: dict[str, Any] = {
    **BOTH,
    "--train.micro_batch_size": 8,
    "--model.model_name_or_path": None,
    "--model.gradient_checkpointing_enable": False,
}
"""Flag → upstream's default (`cli/train_ppo_ray.py`, `cli/train_sft.py`, OpenRLHF 0.11.2)."""
_ARRAY = re.compile(r"^\w*ARGS=\(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
WIDTHS = tuple((f"--vllm.tensor_parallel_size {width}",) for width in (2, 4))
SHARES = tuple((f"--vllm.gpu_memory_utilization {share}",) for share in (0.4, 0.5, 0.6, 0.7, 0.9))
TIMEOUTS = tuple((f"--tw.engine_timeout_s {hours * 3600}",) for hours in (4, 24))
ZERO_3 = ("--ds.zero_stage 3",)
OFFLOADED = ("--ds.adam_offload",)


def job_of(recipe: Path, settings: Sequence[str], gpus: int) -> Job | None:
    """
    Args:
        recipe: a file.
        settings: flags on top of it.
        gpus: on a node, where the recipe does not say.

    Returns:
        None: it is no shell script.

    Raises:
        PlanError: it has no array of flags.
    """
    if recipe.suffix != ".sh":
        return None
    flags = [*_flags_in(recipe), *shlex.split(" ".join(settings))]
    is_rl = _is_rl(flags)
    checkpointing = (f"--{'actor' if is_rl else 'model'}.gradient_checkpointing_enable",)
    kinds = [(ZERO_3, OFFLOADED, (*ZERO_3, *OFFLOADED)), (checkpointing,)]
    kinds += [(*SHARES, *WIDTHS), TIMEOUTS] if is_rl else []
    remedies = (
        Remedy(" ".join(each), _job(recipe, [*flags, *shlex.split(" ".join(each))], gpus))
        for each in combinations(*kinds)
    )
    return _job(recipe, flags, gpus, remedies)


def job_of_run(args: Any, ours: RLSettings | SFTSettings) -> Job:
    """Of flags as upstream has parsed them, in the driver of RL or on a rank of SFT."""
    if isinstance(ours, RLSettings):
        made = _rl(_read(args, RL), ours)
    else:
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        made = _sft(_read(args, SFT), ours, ranks)
    return Job(name="this run", framework="OpenRLHF", **made)


def _read(args: Any, flags: Iterable[str]) -> dict[str, Any]:
    return {flag: attrgetter(flag.removeprefix("--"))(args) for flag in flags}


def _flags_in(recipe: Path) -> list[str]:
    arrays = _ARRAY.findall(recipe.read_text())
    try:
        found = [flag for body in arrays for flag in shlex.split(body, comments=True)]
    except ValueError as error:
        raise PlanError(f"{recipe}: {error}. Mend its quotes") from error
    if not found:
        raise PlanError(f"{recipe} has no flags in arrays ARGS=( … ): write them so")
    return found


def _job(recipe: Path, flags: list[str], gpus: int, remedies: Iterable[Remedy] = ()) -> Job:
    is_rl = _is_rl(flags)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name, default in (RL if is_rl else SFT).items():
        kind: dict[str, Any] = (
            {"action": "store_true"} if default is False else {"type": _kind(default), "default": default}
        )
        parser.add_argument(name, dest=name, **kind)
    try:
        read = vars(parser.parse_known_args(flags)[0])
        ours, _ = (RLSettings if is_rl else SFTSettings).parser().parse_known_args(flags)
    except argparse.ArgumentError as error:
        raise PlanError(f"{recipe}: {error}. Give another") from error
    made = _rl(read, RLSettings(**vars(ours))) if is_rl else _sft(read, SFTSettings(**vars(ours)), gpus)
    return Job(name=recipe.stem, framework="OpenRLHF", remedies=remedies, **made)


def _is_rl(flags: Iterable[str]) -> bool:
    return any(flag.startswith("--rollout.") for flag in flags)


def _kind(default: Any) -> type:
    return str if default is None else type(default)


def _rl(flags: dict[str, Any], ours: RLSettings) -> dict[str, Any]:
    nodes, per_node = flags["--actor.num_nodes"], flags["--actor.num_gpus_per_node"]
    engines, width = int(flags["--vllm.num_engines"] or 0), flags["--vllm.tensor_parallel_size"]
    longest = ours.limits(int(flags["--rollout.max_new_tokens"] or flags["--data.max_len"])).max_tokens
    row = flags["--data.max_len"] + longest
    ranks = flags["--ds.ring_attn_size"]
    at_once = -(-row * flags["--train.micro_batch_size"] // ranks)
    if flags["--train.dynamic_batch_enable"]:
        at_once = max(flags["--train.max_tokens_per_gpu"], -(-row // ranks))
    colocated = flags["--train.colocate_all"]
    beside = 0 if colocated else engines * width
    return {
        "nodes": nodes,
        "gpus_per_node": per_node + -(-beside // nodes),
        "model": flags["--actor.model_name_or_path"],
        "training": Training(
            gpus=nodes * per_node,
            state=_state(flags, nodes * per_node),
            row_tokens=row,
            at_once=at_once,
            checkpointing=flags["--actor.gradient_checkpointing_enable"],
            chunk=ours.logits_chunk or None,
            reference=flags["--algo.kl.init_coef"] > 0 and (colocated or flags["--train.colocate_actor_ref"]),
        ),
        "rollout": Rollout(
            gpus=max(engines, 1) * width,
            tensor_parallel=width,
            share=flags["--vllm.gpu_memory_utilization"],
            context=flags["--data.max_len"],
            trajectories=flags["--rollout.batch_size"] * flags["--rollout.n_samples_per_prompt"],
            max_tokens=longest,
            timeout_s=ours.engine_timeout_s,
            colocated=colocated,
            sleeps=flags["--vllm.enable_sleep"],
            state_stays=not flags["--ds.enable_sleep"],
        ),
    }


def _sft(flags: dict[str, Any], ours: SFTSettings, gpus: int) -> dict[str, Any]:
    row = flags["--data.max_len"]
    return {
        "nodes": 1,
        "gpus_per_node": gpus,
        "model": flags["--model.model_name_or_path"],
        "training": Training(
            gpus=gpus,
            state=_state(flags, gpus),
            row_tokens=row,
            at_once=-(-row * flags["--train.micro_batch_size"] // flags["--ds.ring_attn_size"]),
            checkpointing=flags["--model.gradient_checkpointing_enable"],
            chunk=ours.logits_chunk or None,
        ),
    }


def _state(flags: dict[str, Any], gpus: int) -> State:
    """Of DeepSpeed: bf16 weights and gradients; the optimizer has float32 weights and Adam's two moments."""
    stage = flags["--ds.zero_stage"]
    weights, gradients, optimizer = (gpus if stage >= least else 1 for least in (3, 2, 1))
    return State(2, 2, 12, weights, gradients, optimizer, optimizer_offloaded=flags["--ds.adam_offload"])
