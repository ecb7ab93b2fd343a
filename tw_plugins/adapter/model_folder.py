"""A folder that is given as a model and is none: a LoRA adapter, a checkpoint to go on from, GGUF."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tw_plugins.errors import UserError

__all__ = ["ModelFolderError", "check_model_folder"]

CONFIG, ADAPTER = "config.json", "adapter_config.json"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
VERL_SHARDS = "model_world_size_*_rank_*.pt"
DEEPSPEED = ("*mp_rank_*_model_states.pt", "zero_to_fp32.py")
DEPTH, MOST = 3, 1000  # folders below that are looked into: global_step_10/actor/huggingface


class ModelFolderError(UserError, ValueError):
    """A path that is no Hugging Face model; the message says what it is and how it becomes one."""


def check_model_folder(model: str) -> None:
    """Whether what is given as a model can be one; a name that is no path is the hub's to know.

    Raises:
        ModelFolderError: a file, a LoRA adapter, a framework's checkpoint, or a folder without config.json.
    """
    path = Path(os.path.expanduser(model))
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise ModelFolderError(_no_folder(path))
    if _has(path, CONFIG) and not _has(path, ADAPTER):
        if not _has(path, *WEIGHTS) and _has(path.absolute().parent, VERL_SHARDS):
            raise ModelFolderError(_of_verl(path.absolute().parent))
        return
    if _has(path, CONFIG) and _has(path, "model*.safetensors", "pytorch_model*.bin"):
        return
    raise ModelFolderError(_without_config(path))


def _without_config(path: Path) -> str:
    if _has(path, ADAPTER):
        return _lora(path)
    if inside := next(_models_in(path), None):
        return f"{path} is no Hugging Face model, it has no {CONFIG}; there is one inside: give {inside}"
    for below in (path, path / "actor", *sorted(path.glob("global_step*/actor"))):
        if _has(below, VERL_SHARDS):
            return _of_verl(below)
    if any(_has(below, *DEEPSPEED) for below in (path, *islice(_folders_in(path), MOST))):
        return (
            f"{path} is a checkpoint of DeepSpeed, not a Hugging Face model: give the folder that the run "
            "saved its model in (OpenRLHF: --ckpt.output_dir), or write one with its zero_to_fp32.py"
        )
    if _has(path, "*.gguf"):
        return _gguf(path)
    return f"{path} has no {CONFIG}: give the folder of a Hugging Face model"


def _no_folder(path: Path) -> str:
    if not os.path.exists(path):
        return f"{path} is a link to nothing: give the folder of a Hugging Face model"
    if path.suffix.lower() == ".gguf":
        return _gguf(path)
    return f"{path} is a file where a folder is meant: give the folder of a Hugging Face model"


def _gguf(path: Path) -> str:
    return (
        f"{path} is a model as GGUF, which is neither trained nor decoded here: give the folder of the "
        "Hugging Face model that it was made of"
    )


def _lora(path: Path) -> str:
    base = _base_of(path)
    return (
        f"{path} is a LoRA adapter of {base}, not a model: merge it (peft's merge_and_unload, saved with the "
        "tokenizer); or serve it (vllm serve BASE --enable-lora --lora-modules NAME=ADAPTER) and use "
        "--base-url, --served-model-name NAME and --model BASE"
    )


def _base_of(path: Path) -> str:
    """As the adapter's config names it."""
    try:
        found = json.loads((path / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return "some base model"
    return str(found)[:100]


def _of_verl(path: Path) -> str:
    return (
        f"{path} is a checkpoint of verl, in shards, not a Hugging Face model: write one (python -m "
        "verl.model_merger merge --backend fsdp --local_dir THAT --target_dir FOLDER) and give its folder, "
        "or train with hf_model in checkpoint.save_contents"
    )


def _has(folder: Path, *patterns: str) -> bool:
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _folders_in(path: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Nearest first; of checkpoints beside each other the last."""
    below = sorted((one for one in path.iterdir() if one.is_dir()), key=_by_number, reverse=True)
    yield from below
    if depth > 1:
        for one in below:
            yield from _folders_in(one, depth - 1)


def _by_number(folder: Path) -> tuple[int, str]:
    """global_step_10 comes after global_step_9."""
    digits = "".join(filter(str.isdecimal, folder.name))
    return int(digits or -1), folder.name


def _models_in(path: Path) -> Iterator[Path]:
    return (one for one in islice(_folders_in(path), MOST) if _has(one, CONFIG) and _has(one, *WEIGHTS))
