"""The examples for OpenRLHF's repository: upstream's parsers and linters take them."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext import agent, preflight
from openrlhf_ext.device import GPU
from openrlhf_ext.settings import RLSettings, SFTSettings
from tests.support.kits import check_scripts, copy_kit, recorded
from tests.support.openrlhf.flags import flags_of, namespace, said, upstreams

KIT = "openrlhf/examples"
RL, SFT = "train_threadweaver_p_grpo.sh", "train_threadweaver_sft.sh"
UPSTREAM_RUFF = ["--isolated", "--line-length", "119", "--target-version", "py310"]  # its pyproject.toml
Toy = dict[str, Path]


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    return copy_kit(KIT, tmp_path / "upstream")


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "chosen_device", lambda: GPU)


def flags(kit: Path, cwd: Path, script: str, toy: Toy, *more: str, **environment: str) -> list[str]:
    """What the script gives to our launcher."""
    data, command = ("sft", "torchrun") if script == SFT else ("rl", "python3")
    files = {"MODEL_PATH": str(toy["model"]), "DATASET_PATH": str(toy[data]), "SAVE_PATH": str(cwd / "exp")}
    found = recorded(kit / "scripts" / script, command, *more, cwd=cwd, **files, **environment)
    module = found.index("-m")
    assert found[module + 1] == ("openrlhf_ext.train_sft" if script == SFT else "openrlhf_ext.train_ppo_ray")
    return found[module + 2 :]


def settings_of(found: list[str]) -> RLSettings:
    return RLSettings(**vars(RLSettings.parser().parse_known_args(found)[0]))


def smoke_flags(kit: Path, array: str) -> list[str]:
    import shlex

    text = (kit / "scripts" / "train_threadweaver_smoke.sh").read_text()
    return shlex.split(text.split(f"{array}=(", 1)[1].split("\n)", 1)[0], comments=True)


def test_upstreams_layout_and_linters(kit: Path) -> None:
    check_scripts(kit)
    assert {path.name for path in kit.iterdir()} == {"python", "scripts"}  # as in upstream's examples/
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(kit)], check=True)
    for command in (["format", "--check"], ["check", "--select", "E,F,I"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *UPSTREAM_RUFF, str(kit)], check=True)


def test_the_agent_is_found_as_upstream_finds_it(kit: Path) -> None:
    import importlib.util

    file = kit / "python" / "threadweaver_agent.py"
    spec = importlib.util.spec_from_file_location("agent_func", file)  # openrlhf/utils/agent.py
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.AgentExecutor is agent.AgentExecutor


@pytest.mark.parametrize("smoke", [False, True])
def test_rl_is_accepted_and_is_eq_4(
    kit: Path, tmp_path: Path, toy: Toy, smoke: bool, caplog: pytest.LogCaptureFixture
) -> None:
    more = [*smoke_flags(kit, "CPU_ARGS"), *smoke_flags(kit, "RL_ARGS")] if smoke else []
    found = flags(kit, tmp_path, RL, toy, *more, **({"SHARED": "0"} if smoke else {}))
    args = namespace("openrlhf.cli.train_ppo_ray", *upstreams(found))
    assert args.train.colocate_all != smoke
    preflight.keep_padding(args, found)
    preflight.check_rl(args, settings_of(found))
    assert said(caplog) == []  # nothing departs from Eq. 4
    assert args.algo.advantage.estimator == "dr_grpo"
    assert args.ds.attn_implementation == ("sdpa" if smoke else "trie")
    assert args.train.agent_func_path == str(kit / "python" / "threadweaver_agent.py")


@pytest.mark.parametrize("smoke", [False, True])
def test_sft_is_accepted(kit: Path, tmp_path: Path, toy: Toy, smoke: bool) -> None:
    more = [*smoke_flags(kit, "CPU_ARGS"), *smoke_flags(kit, "SFT_ARGS")] if smoke else []
    _, theirs = SFTSettings.parser().parse_known_args(flags(kit, tmp_path, SFT, toy, *more))
    args = namespace("openrlhf.cli.train_sft", *theirs)
    preflight.keep_padding(args, theirs)
    preflight.check_sft(args, SFTSettings())
    assert args.data.apply_chat_template


def leaves(args: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted flag → value."""
    flat: dict[str, Any] = {}
    for name, value in vars(args).items():
        nested = hasattr(value, "__dict__")
        flat |= leaves(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def test_the_qwen3_scripts_are_our_recipes(kit: Path, tmp_path: Path, toy: Toy) -> None:
    """They are written out twice, as upstream's readers expect it; they say the same."""
    found = flags(kit, tmp_path, RL, toy)
    recipe = flags_of("train_qwen3_8b_p_grpo.sh")
    files = ["--actor.model_name_or_path", str(toy["model"]), "--data.prompt_dataset", str(toy["rl"])]
    theirs = leaves(namespace("openrlhf.cli.train_ppo_ray", *upstreams(found)))
    agent_flag = ["--train.agent_func_path", "a.py"]
    ours = leaves(namespace("openrlhf.cli.train_ppo_ray", *agent_flag, *upstreams([*recipe, *files])))
    changed = {key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)}
    assert changed <= {"ckpt.output_dir", "ckpt.path", "train.agent_func_path"}
    mine, recipes = settings_of(found), settings_of(recipe)
    assert (mine.mode, mine.rho, mine.rho_clip) == (recipes.mode, recipes.rho, recipes.rho_clip)

    _, found = SFTSettings.parser().parse_known_args(flags(kit, tmp_path, SFT, toy))
    files = ["--model.model_name_or_path", str(toy["model"]), "--data.dataset", str(toy["sft"])]
    theirs = leaves(namespace("openrlhf.cli.train_sft", *found))
    ours = leaves(namespace("openrlhf.cli.train_sft", *flags_of("train_qwen3_8b_sft.sh"), *files))
    changed = {key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)}
    assert changed <= {"ckpt.output_dir", "ckpt.path"}


def test_the_description_names_the_version_it_was_run_with(kit: Path) -> None:
    from tests.support.kits import KITS

    assert f"OpenRLHF {importlib.metadata.version('openrlhf')}" in (KITS / "openrlhf" / "PR.md").read_text()
