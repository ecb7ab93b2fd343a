"""Every script parses by the installed OpenRLHF and passes the check; two have the paper's numbers."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext import launcher, preflight
from openrlhf_ext.arguments import with_estimator
from openrlhf_ext.device import GPU, VARIABLE
from openrlhf_ext.settings import RLSettings, SFTSettings
from tests.support.openrlhf.flags import RECIPES, flags_of, namespace, said, upstreams
from tests.support.pasted import commands
from tests.support.root import ROOT
from tw_plugins.attention import usable_attention

Toy = dict[str, Path]
RL = ("train_toy_p_grpo.sh", "train_qwen3_8b_p_grpo.sh")
SFT = ("train_toy_sft.sh", "train_qwen3_8b_sft.sh")
SEQUENTIAL = ("train_toy_grpo_sequential.sh", "train_qwen3_8b_grpo_sequential.sh")


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "chosen_device", lambda: GPU)


def rl_args(toy: Toy, script: str) -> Any:
    files = ["--actor.model_name_or_path", str(toy["model"]), "--data.prompt_dataset", str(toy["rl"])]
    return namespace(
        "openrlhf.cli.train_ppo_ray",
        *("--train.agent_func_path", "agent.py", *upstreams(flags_of(script)), *files),
    )


def test_every_script_is_tested_and_can_be_run() -> None:
    scripts = {path.name: path for path in RECIPES.glob("*.sh")}
    assert set(scripts) == {*RL, *SFT, *SEQUENTIAL}
    assert all(path.stat().st_mode & stat.S_IXUSR for path in scripts.values())


def test_what_the_document_has_pasted_is_parsed() -> None:
    """By upstream, with the script's own flags before: a later one wins."""
    pasted = [words for words in commands(ROOT / "docs/training-openrlhf.md") if words[0].endswith(".sh")]
    assert len(pasted) == 3
    for script, *flags in pasted:
        name = Path(script).name.replace("grpo_sequential", "p_grpo")  # which it runs
        kind, command = (SFTSettings, "train_sft") if "sft" in name else (RLSettings, "train_ppo_ray")
        _, theirs = kind.parser().parse_known_args([*flags_of(name), *flags])
        more = [] if "sft" in name else ["--train.agent_func_path", "agent.py"]
        args = namespace(f"openrlhf.cli.{command}", *more, *with_estimator(theirs))
        assert args.ckpt.path.startswith("$PWD/runs/") and args.data.input_key == "input"


def test_readmes_line_is_parsed() -> None:
    """With a user's flags in their place: the preset is all of Eq. 4."""
    (words,) = [words for words in commands(ROOT / "README.md") if "openrlhf_ext.train_ppo_ray" in words]
    assert words[:3] == ["python", "-m", "openrlhf_ext.train_ppo_ray"] and words[-1] == "--tw.preset"
    mine = ["--actor.model_name_or_path", "m", "--data.prompt_dataset", "d"]
    mine += ["--rollout.n_samples_per_prompt", "8", "--tw.preset"]
    settings, theirs = launcher.read(RLSettings, mine, "agent.py")
    args = namespace("openrlhf.cli.train_ppo_ray", *theirs)
    assert settings == RLSettings()
    assert (args.algo.advantage.estimator, args.actor.loss_agg_mode) == ("dr_grpo", "token-mean")
    assert args.ds.attn_implementation in usable_attention("cuda")


@pytest.mark.parametrize("script", RL)
def test_rl_passes_and_is_eq_4(toy: Toy, script: str, caplog: pytest.LogCaptureFixture) -> None:
    args = rl_args(toy, script)
    settings = RLSettings(**vars(RLSettings.parser().parse_known_args(flags_of(script))[0]))
    preflight.check_rl(args, settings)
    assert said(caplog) == []  # nothing departs from Eq. 4
    assert (args.algo.advantage.estimator, args.rollout.n_samples_per_prompt) == ("dr_grpo", 8)
    assert (settings.mode, settings.rho, settings.rho_clip) == ("parallel", 0.5, 0.2)
    assert args.reward.remote_url == ["agent"]


@pytest.mark.parametrize("script", SFT)
def test_sft_passes(toy: Toy, script: str) -> None:
    _, flags = SFTSettings.parser().parse_known_args(flags_of(script))
    files = ["--model.model_name_or_path", str(toy["model"]), "--data.dataset", str(toy["sft"])]
    args = namespace("openrlhf.cli.train_sft", *flags, *files)
    preflight.check_sft(args, SFTSettings())
    assert args.data.apply_chat_template


def test_the_papers_numbers(toy: Toy) -> None:
    args = rl_args(toy, "train_qwen3_8b_p_grpo.sh")
    assert (args.rollout.batch_size, args.actor.adam.lr, args.rollout.temperature) == (128, 5e-6, 1.0)
    assert (args.data.max_len, args.data.max_samples) == (40960, 350 * 128)


@pytest.mark.parametrize("script", SEQUENTIAL)
def test_the_baseline_differs_in_mode_and_bonus_only(script: str) -> None:
    text = (RECIPES / script).read_text()
    last = text.strip().splitlines()[-1]
    assert last.startswith('exec "$(dirname "$0")/train_') and "_p_grpo.sh" in last
    flags = last.split("_p_grpo.sh", 1)[1].replace('"', "").split()
    assert flags == ["--tw.mode", "autoregressive", "--tw.acceleration", "none", "$@"]


@pytest.mark.parametrize("asked", [None, "cuda"])
def test_the_toy_scripts_ask_for_the_cpu(tmp_path: Path, asked: str | None) -> None:
    """Unless the user asks for another device."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$DS_ACCELERATOR"\n')
    python.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "PYTHON": str(python), **({VARIABLE: asked} if asked else {})}
    for script in filter(lambda name: "_toy_" in name, (*RL, *SFT, *SEQUENTIAL)):
        done = subprocess.run([RECIPES / script], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == (asked or "cpu")
