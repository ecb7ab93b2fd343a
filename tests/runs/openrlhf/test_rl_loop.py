"""OpenRLHF's own commands, end to end: SFT of a small model, then RL with real vLLM, Ray and DeepSpeed."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import pytest

from openrlhf_ext import agent
from tests.support.commands import METRICS_FILE, logged_in, run
from tests.support.dying import DIED
from tests.support.float_error import Error, check_fidelity, float32_error
from tests.support.killing import killing
from tests.support.openrlhf import faulty_workers, recording_agent
from tests.support.openrlhf.flags import flags_of, upstreams
from tests.support.root import ROOT
from tests.support.vital_signs import check_vital_signs
from tw_plugins.adapter.run_start import FILE
from tw_plugins.pages.reading.files import read
from tw_plugins.toy.preset import FORKING_PRESET, write_files

pytestmark = pytest.mark.timeout(1500)
RECIPES = ROOT / "recipes" / "openrlhf"
DIFFERENCE = "training/rollout_probs_diff_max"
SFT_EPOCHS = 12  # of 8 steps; most samples fork then
SMALL = [
    "--data.max_samples", "8",
    "--data.max_len", "384",
    "--rollout.max_new_tokens", "256",
    "--rollout.batch_size", "4",
    "--rollout.n_samples_per_prompt", "4",
    "--rollout.micro_batch_size", "4",
    "--train.batch_size", "16",
    "--train.micro_batch_size", "4",
    "--actor.lr_scheduler", "constant",  # the first update counts: vLLM must have it at the second step
    "--actor.lr_warmup_ratio", "0",
    # Adam's own ε and so small a rate: the recipe's can end all forks of this model in one update
    "--actor.adam.lr", "2e-6",
    "--actor.adam.eps", "1e-8",
    "--actor.max_norm", "1",
]  # fmt: skip
TWO_RANKS, TWO_ENGINES = ["--actor.num_gpus_per_node", "2"], ["--vllm.num_engines", "2"]
FOUR_STEPS = ["--data.max_samples", "16"]
DYNAMIC_PACKED = [
    "--train.dynamic_batch_enable",
    "--ds.packing_samples",
    "--train.max_tokens_per_gpu", "900",
]  # fmt: skip
REFERENCE_CHECKPOINTED_BYPASS = [
    "--ref.num_gpus_per_node", "1",
    "--algo.kl.init_coef", "0.01",
    "--algo.kl.use_loss",
    "--algo.kl.estimator", "k3",
    "--actor.gradient_checkpointing_enable",
    "--tw.bypass_mode",
    "--tw.recompute_every", "2",
]  # fmt: skip
Toy = dict[str, Path]


def files_of(toy: Toy, folder: Path) -> list[str]:
    return [
        "--actor.model_name_or_path", str(toy["model"]),
        "--data.prompt_dataset", str(toy["rl"]),
        "--ckpt.output_dir", str(folder / "model"),
        "--ckpt.path", str(folder / "checkpoints"),
    ]  # fmt: skip


def rl(toy: Toy, folder: Path, *flags: str, fails: bool = False, **environment: str) -> list[dict[str, Any]]:
    """P-GRPO by the toy recipe."""
    return run(folder, *rl_command(toy, folder, *flags), fails=fails, **environment)


def rl_command(toy: Toy, folder: Path, *flags: str) -> list[str]:
    metrics = ["--tw.metrics_file", str(folder / METRICS_FILE)]
    script = str(RECIPES / "train_toy_p_grpo.sh")
    return ["bash", script, *files_of(toy, folder), *SMALL, *metrics, *flags]


def steps_of(lines: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [line["data"] for line in lines if "policy_loss" in line["data"]]


def sft(files: Toy, folder: Path, *flags: str, **how: Any) -> list[dict[str, Any]]:
    """Trie SFT by the toy recipe, `how` as of `tests.support.commands.run`."""
    return run(
        folder,
        "bash", str(RECIPES / "train_toy_sft.sh"),
        "--model.model_name_or_path", str(files["model"]),
        "--data.dataset", str(files["sft"]),
        "--ckpt.output_dir", str(folder / "model"),
        "--ckpt.path", str(folder / "checkpoints"),
        "--adam.lr", "5e-3",
        "--tw.metrics_file", str(folder / METRICS_FILE),
        *flags,
        **how,
    )  # fmt: skip


def losses_of(lines: list[dict[str, Any]]) -> dict[int, float]:
    """Of SFT, by step; of one that was made again, the last."""
    return {line["step"]: line["data"]["train/loss"] for line in lines}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy's files with a model that SFT taught to fork."""
    folder = tmp_path_factory.mktemp("sft")
    files = write_files(folder / "files", 0, FORKING_PRESET)
    losses = losses_of(sft(files, folder, "--train.max_epochs", str(SFT_EPOCHS)))
    assert len(losses) == SFT_EPOCHS * 8
    assert losses[SFT_EPOCHS * 8] < losses[1] / 2
    return {
        **files, "model": folder / "model", "untrained": files["model"], "metrics": folder / METRICS_FILE,
    }  # fmt: skip


@pytest.fixture(scope="module")
def float32(trained: Toy) -> Error:
    return float32_error(trained["model"], trained["rl"])


def test_a_killed_sft_goes_on_with_its_weights_and_its_optimizer(trained: Toy, tmp_path: Path) -> None:
    """SIGKILL after a checkpoint: the losses that follow are those of the unbroken run, `trained`."""
    unbroken, metrics = losses_of(logged_in(trained["metrics"])), tmp_path / METRICS_FILE
    files = {**trained, "model": trained["untrained"]}
    flags = ["--train.max_epochs", str(SFT_EPOCHS), "--ckpt.save_steps", "8"]
    latest = tmp_path / "checkpoints" / "latest"  # written last
    sft(files, tmp_path, *flags, kill_when=latest.exists)
    step = int(latest.read_text().removeprefix("global_step"))
    metrics.unlink()

    def enough() -> bool:
        return len(losses_of(logged_in(metrics))) >= 8

    resumed = losses_of(sft(files, tmp_path, *flags, "--ckpt.load_enable", kill_when=enough))
    assert list(resumed)[:8] == [*range(step + 1, step + 9)] and step >= 8
    assert resumed == pytest.approx({step: unbroken[step] for step in resumed}, rel=1e-4)


def test_two_ranks_and_engines_with_weights_that_do_not_arrive_and_a_killed_engine(
    trained: Toy, tmp_path: Path, float32: Error
) -> None:
    """One of two engines misses the weights of the second step, the negative control of `check_fidelity`, and
    one dies in the fourth rollout."""
    rollouts = tmp_path / "rollouts"
    flags = [*TWO_RANKS, *TWO_ENGINES, *DYNAMIC_PACKED, *FOUR_STEPS, "--tw.rollouts_dir", str(rollouts)]
    flags += worker_flags(faulty_workers.DeafAndDyingWorker)
    died = {DIED: str(tmp_path / "died")}
    *heard, deaf = steps_of(rl(trained, tmp_path, *flags, fails=True, **died))
    assert len(heard) == 2
    check_steps([*heard, deaf])
    for step in heard:
        check_fidelity(step, float32)
    with pytest.raises(AssertionError):
        check_fidelity(deaf, float32)
    check_rollouts(rollouts, [*heard, deaf])
    check_one_error(tmp_path, "EngineError: a vLLM engine died")


@pytest.mark.nightly
def test_reference_model_and_bypass_with_weights_that_are_refused(
    trained: Toy, tmp_path: Path, float32: Error
) -> None:
    """vLLM refuses the weights of the fourth step."""
    flags = [*REFERENCE_CHECKPOINTED_BYPASS, *FOUR_STEPS, "--tw.engine_timeout_s", "30"]
    flags += worker_flags(faulty_workers.RefusingWorker)
    steps = steps_of(rl(trained, tmp_path, *flags, fails=True))
    assert [DIFFERENCE in step for step in steps] == [True, False, True]
    check_steps(steps)
    for step in (steps[0], steps[2]):
        check_fidelity(step, float32)
    check_one_error(tmp_path, "EngineError: the weights did not pass")


def check_steps(steps: list[dict[str, float]]) -> None:
    """What holds in each step from a run's first on."""
    check_vital_signs(steps)
    for step in steps:
        assert step["threadweaver/activation/mean"] > 0
        assert step["threadweaver/threads_per_block/mean"] > 0
        assert step["rollout/num_samples"] == 16
        assert step["reward"] == pytest.approx(step["threadweaver/score/mean"])
        assert step["threadweaver/staleness/max"] == step["threadweaver/staleness/mixed_versions"] == 0


def check_rollouts(folder: Path, steps: list[dict[str, float]]) -> None:
    """`threadweaver view` reads what was trained, a file a step: joined trajectories with their scores."""
    for number, step in enumerate(steps, 1):
        shown = read([folder / f"{number}.jsonl"])
        assert len(shown.trajectories) == 16 and not shown.unreadable
        assert fmean(one.score for one in shown.trajectories) == pytest.approx(step["reward"])
        tokens = [one.measure(len)[1] for one in shown.trajectories if not one.malformed]
        assert any(measured.blocks for measured in tokens)
        assert all(one.mode == "parallel" and one.answer for one in shown.trajectories)


FILTERED = [
    "--algo.advantage.is_correction_level", "token",
    "--algo.advantage.is_correction_mode", "clip",
    "--algo.dynamic_filtering_enable",
    "--algo.dynamic_filtering_range", "-1", "2",
    "--eval.steps", "1",
    "--eval.n_samples_per_prompt", "2",
    "--ckpt.save_steps", "1",
]  # fmt: skip


@pytest.mark.nightly
def test_a_killed_rank_and_resumed_with_filtering_evaluation_and_best_checkpoint(
    trained: Toy, tmp_path: Path, float32: Error
) -> None:
    """SIGKILL of one of two ranks in the second update: that step is made again, with its prompts."""
    prompts, metrics = tmp_path / "prompts.jsonl", tmp_path / METRICS_FILE
    flags = [*FILTERED, *TWO_RANKS, "--eval.dataset", str(trained["eval"])]
    flags += ["--train.agent_func_path", recording_agent.__file__]
    environment = {recording_agent.PROMPTS_FILE: str(prompts)}
    with killing(tmp_path, "PolicyModelActor", "fit", once=lambda: bool(steps_of(logged_in(metrics)))):
        before = rl(trained, tmp_path, *flags, fails=True, **environment)
    check_one_error(tmp_path, r"EngineError: actor rank [01] died \(.+--ckpt.load_enable")
    asked = trained_on(prompts, trained)
    first, lost = asked[:16], asked[16:]
    prompts.unlink()

    flags += ["--ckpt.load_enable", "--train.num_episodes", "2"]
    lines = rl(trained, tmp_path, *flags, **environment)
    steps = steps_of(lines)
    assert len(steps_of(before)) == 1
    assert [line["step"] for line in lines if "policy_loss" in line["data"]] == [1, 2, 3, 4]
    second = trained_on(prompts, trained)[:16]
    assert Counter(second) == Counter(lost)
    assert Counter(Counter(first + second).values()) == {4: 8}  # each of 8 prompts, 4 samples each
    check_fidelity(steps[1], float32)
    check_vital_signs(steps)  # against the first step, of the run before
    assert all(step["dynamic_filtering_pass_rate"] > 0 and abs(step["vllm_kl"]) < 1e-4 for step in steps)
    checkpoints = tmp_path / "checkpoints"
    check_evaluations(lines, checkpoints / "_actor")
    assert (checkpoints / FILE).is_file()  # though checkpoints were pruned


def trained_on(prompts: Path, toy: Toy) -> list[str]:
    """Prompts of the rollouts in order, one line a sample, those of the evaluation left out."""
    held_out = {
        messages[0]["content"].strip() for messages in pq.read_table(toy["eval"])["prompt"].to_pylist()
    }
    asked = map(json.loads, prompts.read_text().splitlines())
    return [prompt for prompt in asked if not any(problem in prompt for problem in held_out)]


def check_evaluations(lines: list[dict[str, Any]], actor: Path) -> None:
    """One each step, by kind of problem; the best has its checkpoint."""
    evaluations = {line["step"]: line["data"] for line in lines if "eval_decomposable_pass1" in line["data"]}
    assert list(evaluations) == [1, 2, 3, 4]
    for found in evaluations.values():
        assert found["eval_decomposable_pass1"] == pytest.approx(found["eval_decomposable_acc"])
        assert found["eval_decomposable_longest"] > 0 and "eval_chain_activation" in found
    chain = {step: evaluations[step]["eval_chain_pass1"] for step in evaluations}  # the first pass1 by name
    tags = {path.name for path in actor.iterdir() if path.is_dir()}
    assert tags >= {f"best_global_step{max(chain, key=lambda step: chain[step])}", "global_step4"}
    assert len(list(actor.glob("global_step*"))) < 4


def check_one_error(folder: Path, message: str) -> None:
    log = (folder / "log.txt").read_text()
    assert re.search(message, log), log[-4000:]


def worker_flags(worker: type) -> list[str]:
    return ["--tw.vllm_args", json.dumps({"worker_extension_cls": f"{worker.__module__}.{worker.__name__}"})]


@pytest.mark.nightly
def test_upstreams_own_command_with_our_executor(trained: Toy, tmp_path: Path) -> None:
    """Fork-join rollouts, rewards and first threads, in bfloat16; what it cannot do is said."""
    flags = upstreams(flags_of("train_toy_p_grpo.sh"))
    executor = ["--train.agent_func_path", agent.__file__]
    correction = ["--algo.advantage.is_correction_level", "token"]  # so that upstream compares with vLLM
    plain = [sys.executable, "-m", "tests.support.openrlhf.plain_cli"]
    run(tmp_path, *plain, *flags, *executor, *correction, *files_of(trained, tmp_path), *SMALL)
    log = (tmp_path / "log.txt").read_text()
    assert "threads 2..n are rolled out and rewarded but not trained" in log
    assert log.count("✨ Global step") == 2
    for found in re.findall(r"'vllm_kl': (-?[0-9.e-]+)", log):
        assert abs(float(found)) < 1e-2
    assert "'threadweaver/activation/mean': 0.0" not in log
