"""OpenRLHF's commands of a pipeline: what upstream's parsers make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from openrlhf_ext.arguments import with_estimator
from openrlhf_ext.device import VARIABLE
from openrlhf_ext.pipeline import TRAINER
from openrlhf_ext.settings import RLSettings, SFTSettings
from recipes.quickstart import plan as quickstart
from tests.support.openrlhf.flags import flags_of, namespace
from tests.support.root import ROOT
from tw_plugins.cli.app import app
from tw_plugins.cli.pipeline import read_plan
from tw_plugins.pipeline.plan import Plan

RUN = Path("/run")
QWEN = ROOT / "recipes" / "pipelines" / "qwen3_8b_openrlhf.yaml"
SMOLLM2, OPENRLHF = ROOT / "recipes" / "smollm2" / "smollm2.yaml", {"framework": "openrlhf"}


def parsed(command: Sequence[str]) -> tuple[Any, Any]:
    """What ThreadWeaver's and upstream's parsers make of a recipe's flags and those behind it."""
    bash, script, *words = command
    assert bash == "bash"
    name = Path(script).name.replace("grpo_sequential", "p_grpo")  # which it runs
    kind, module = (SFTSettings, "train_sft") if "sft" in name else (RLSettings, "train_ppo_ray")
    ours, theirs = kind.parser().parse_known_args([*flags_of(name), *words])
    more = [] if "sft" in name else ["--train.agent_func_path", "agent.py"]
    return ours, namespace(f"openrlhf.cli.{module}", *more, *with_estimator(theirs))


def commands(plan: Plan) -> dict[str, Sequence[str]]:
    return {training.name: trained.jobs[0].command for training, trained in plan.trainings}


def test_every_command_of_qwen3_8b_is_parsed() -> None:
    found = {name: parsed(command) for name, command in commands(read_plan(QWEN, RUN, {})).items()}
    assert len(found) == 4
    ours, theirs = found["P-GRPO, fork-join"]
    assert theirs.data.prompt_dataset == "POLARIS-Project/Polaris-Dataset-53K"
    assert (theirs.actor.num_gpus_per_node, theirs.vllm.num_engines) == (8, 8)
    assert ours.metrics_file == str(RUN / "rl-selftrain" / "threads" / "metrics.jsonl")
    assert found["SFT on own samples"][1].train.max_epochs == 1
    assert found["SFT with threads"][1].data.dataset == str(RUN / "stage1" / "sft.parquet")


def test_plan_takes_it() -> None:
    done = CliRunner().invoke(app, ["plan", str(QWEN)])
    assert done.exit_code == 0 and done.output.count("it fits") == 2, done.output


def test_the_quickstarts_commands_are_parsed() -> None:
    found = {name: parsed(command) for name, command in commands(quickstart.plan_of("openrlhf", RUN)).items()}
    assert len(found) == 4
    rl = found["P-GRPO, fork-join"][1]
    assert rl.train.batch_size == rl.rollout.batch_size * rl.rollout.n_samples_per_prompt == 96
    assert found["SFT with threads"][1].adam.lr == 2e-3


def test_smollm2s_commands_are_parsed() -> None:
    found = {name: parsed(command) for name, command in commands(read_plan(SMOLLM2, RUN, OPENRLHF)).items()}
    assert len(found) == 4
    rl = found["P-GRPO, fork-join"][1]
    assert rl.train.batch_size == rl.rollout.batch_size * rl.rollout.n_samples_per_prompt
    assert rl.actor.model_name_or_path.startswith(str(RUN / "sft" / "threads"))


@pytest.mark.parametrize(("accelerator", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_quickstart_asks_for_the_device_it_finds(
    monkeypatch: pytest.MonkeyPatch, accelerator: bool, device: str
) -> None:
    monkeypatch.setattr(quickstart, "has_accelerator", lambda: accelerator)
    monkeypatch.delenv(VARIABLE, raising=False)
    plan = quickstart.plan_of("openrlhf", RUN)
    jobs = [job for stage in plan.stages for each in stage.rounds for job in each]
    assert {job.env[VARIABLE] for job in jobs} == {device}  # evaluations too: transformers imports DeepSpeed


def test_it_goes_on_from_a_checkpoint_that_is_there(tmp_path: Path) -> None:
    jobs = {
        training.name: trained.jobs[0]
        for training, trained in quickstart.plan_of("openrlhf", tmp_path).trainings
    }
    for name, latest in (("SFT sequential", "latest"), ("GRPO, sequential", "_actor/latest")):
        job = jobs[name]
        assert "--ckpt.load_enable" not in job.words
        written = job.log.parent / "checkpoints" / latest
        written.parent.mkdir(parents=True)
        written.touch()
        assert job.words[-1] == "--ckpt.load_enable"


def test_a_script_stands_on_the_one_that_it_runs() -> None:
    folder = ROOT / "recipes" / "openrlhf"
    files = TRAINER.files(folder / "train_toy_grpo_sequential.sh")
    assert [file.name for file in files] == ["train_toy_grpo_sequential.sh", "train_toy_p_grpo.sh"]
