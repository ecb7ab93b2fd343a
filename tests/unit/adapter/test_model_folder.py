"""What is given as a model and is none is named, with how it becomes one, wherever a model is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.messages import assert_message
from tw_plugins.adapter.model_folder import ModelFolderError, check_model_folder
from tw_plugins.adapter.vocabulary import check_vocabulary
from tw_plugins.cli.app import app
from tw_plugins.data.add_tokens import add_tokens
from tw_plugins.evaluation.run import EvalSettings, prepare, prepare_prompt


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def lora(folder: Path) -> Path:
    files(folder, "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen3-8B"}))
    return folder


def verl(folder: Path, *more: str) -> Path:
    shards = ("actor/model_world_size_2_rank_0.pt", "actor/huggingface/config.json")
    return files(folder, *(f"global_step_{step}/{name}" for step in (9, 10) for name in (*shards, *more)))


SHARDS = r"is a checkpoint of verl, in shards, .*write one .*verl.model_merger merge"
NO_MODEL: dict[str, tuple[Callable[[Path], Path], str]] = {
    "LoRA": (lora, r"LoRA adapter of Qwen/Qwen3-8B.*merge it .*merge_and_unload.*use --base-url"),
    "LoRA with a config": (
        lambda path: files(lora(path), "config.json"),
        "LoRA adapter of Qwen/Qwen3-8B.*merge it",
    ),
    "LoRA of we do not know what": (
        lambda path: files(path, "adapter_config.json"),
        "LoRA adapter of some base model.*merge it",
    ),
    "nothing": (lambda path: files(path, "notes.txt"), "has no config.json: give the folder"),
    "file": (lambda path: files(path, "a.bin") / "a.bin", "a.bin is a file where a folder is meant: give"),
    "GGUF": (lambda path: files(path, "q4.gguf") / "q4.gguf", "is a model as GGUF.*give the folder"),
    "folder of GGUF": (lambda path: files(path, "q4.gguf"), "is a model as GGUF.*give the folder"),
    "verl": (verl, SHARDS),
    "verl, a step": (lambda path: verl(path) / "global_step_10", SHARDS),
    "verl, an actor": (lambda path: verl(path) / "global_step_10" / "actor", SHARDS),
    "verl, no weights": (lambda path: verl(path) / "global_step_10/actor/huggingface", SHARDS),
    "verl with a model": (
        lambda path: verl(path, "actor/huggingface/model.safetensors"),
        "there is one inside: give .*/global_step_10/actor/huggingface",
    ),
    "OpenRLHF": (
        lambda path: files(path, "_actor/latest", "_actor/global_step3/mp_rank_00_model_states.pt"),
        "is a checkpoint of DeepSpeed.*give the folder .*--ckpt.output_dir",
    ),
    "OpenRLHF with a model": (
        lambda path: files(
            *(path, "_actor/latest", "global_step3_hf/config.json", "global_step3_hf/model.safetensors")
        ),
        "there is one inside: give .*/global_step3_hf",
    ),
}


@pytest.mark.parametrize("kind", NO_MODEL)
def test_what_is_no_model(kind: str, tmp_path: Path) -> None:
    make, pattern = NO_MODEL[kind]
    with pytest.raises(ModelFolderError) as error:
        check_model_folder(str(make(tmp_path / "given")))
    assert_message(error.value, pattern)
    assert len(str(error.value).splitlines()) == 1


def test_what_can_be_one(tmp_path: Path) -> None:
    check_model_folder("Qwen/Qwen3-8B")
    check_model_folder(str(files(tmp_path / "model", "config.json", "model-00001-of-2.safetensors")))
    check_model_folder(str(files(tmp_path / "tokenizer only", "config.json", "tokenizer.json")))
    check_model_folder(str(files(tmp_path / "2", "config.json", "adapter_config.json", "model.safetensors")))


ANYWHERE: dict[str, Callable[[str, Path], Any]] = {
    "preflights": lambda model, _: check_vocabulary(model),
    "add-tokens": lambda model, folder: add_tokens(model, folder / "out"),
    "eval, clock, selftrain": lambda model, folder: prepare(model, folder / "d.parquet", EvalSettings()),
    "rollout": lambda model, _: prepare_prompt(model, "p", EvalSettings()),
}


@pytest.mark.parametrize("where", ANYWHERE)
def test_wherever_a_model_is_given(where: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="LoRA adapter"):
        ANYWHERE[where](str(lora(tmp_path / "adapter")), tmp_path)


COMMANDS = [
    "eval run --model {model} --data d --out {out}",
    "eval clock --model {model} --baseline {model} --data d --out {out}",
    "rollout --model {model} --prompt p",
    "rollout --model {model} --prompt p --base-url http://127.0.0.1:9/v1",
    "data selftrain --model {model} --prompts d --out {out}",
    "data add-tokens --model {model} --out {out}",
    "bench rollout --model {model} --data d",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["LoRA", "verl with a model", "GGUF", "nothing"])
def test_in_every_command(command: str, kind: str, tmp_path: Path) -> None:
    make, pattern = NO_MODEL[kind]
    model = make(tmp_path / "given")
    arguments = [word.format(model=model, out=tmp_path / "out") for word in command.split()]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, (done.output, done.exception)
    (line,) = done.stderr.splitlines()
    assert_message(line, f"^error: .*{pattern}")
