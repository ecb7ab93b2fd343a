"""verl's own commands, end to end: SFT of a small model, then RL with real vLLM over real Ray."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import METRICS_FILE, logged_in, run
from tests.support.dying import DIED
from tests.support.float_error import Error, check_fidelity, float32_error
from tests.support.ranks import free_port
from tests.support.verl import dying_rank, faulty_workers
from tests.support.verl.configs import RECIPES, rl_files
from tests.support.verl.nodes import two_nodes
from tests.support.vital_signs import check_vital_signs
from tw_plugins.pages.reading.files import read
from tw_plugins.toy.preset import FORKING_PRESET, write_files
from verl_ext.settings import KEY
from verl_ext.watch import FAILED_IN_VALIDATION

pytestmark = pytest.mark.timeout(1500)
SFT_EPOCHS = 12  # of 8 steps; most samples fork then
SMALL = [
    "data.train_batch_size=4",
    "actor_rollout_ref.rollout.n=4",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
    "trainer.total_training_steps=2",
    "trainer.resume_mode=disable",
    "actor_rollout_ref.actor.optim.lr_scheduler_type=constant",  # the first update counts: vLLM must have
    "actor_rollout_ref.actor.optim.lr_warmup_steps=0",  # it at the second step
    # Adam's own ε and so small a rate: the recipe's can end all forks of this model in one update
    "actor_rollout_ref.actor.optim.lr=2e-6",
    "actor_rollout_ref.actor.optim.override_optimizer_config.eps=1e-8",
    "actor_rollout_ref.actor.optim.clip_grad=1",
]
ROWS = [f"{KEY}.layout=rows", "algorithm.adv_estimator=grpo", "algorithm.norm_adv_by_std_in_grpo=false"]
BYPASS = [  # each step recomputes what it leaves out, or there would be no difference to report
    "algorithm.rollout_correction.bypass_mode=true",
    f"++{KEY}.recompute_every=1",
]
TWO_NODES = [
    f"actor_rollout_ref.model.external_lib={dying_rank.__name__}",
    "actor_rollout_ref.actor.use_kl_loss=true",
    "actor_rollout_ref.actor.use_dynamic_bsz=true",
    "trainer.total_training_steps=3",
    "trainer.save_freq=1",
    "trainer.resume_mode=auto",
]
Toy = dict[str, Path]


def verl(
    folder: Path,
    module: str,
    config: str,
    *settings: str,
    how: Mapping[str, Any] | None = None,
    **environment: str,
) -> list[dict[str, Any]]:
    """Run one of verl's commands, `how` as of `commands.run`; returns the metrics of each step."""
    arguments = ["-m", module, "--config-path", str(RECIPES), "--config-name", config, *settings]
    metrics = {"VERL_FILE_LOGGER_PATH": str(folder / METRICS_FILE)}
    return run(folder, sys.executable, *arguments, **(how or {}), **metrics, **environment)


def sft(files: Toy, folder: Path, *settings: str, **how: Any) -> list[dict[str, Any]]:
    """Trie SFT by the toy recipe."""
    one_process = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    return verl(
        folder,
        "verl.trainer.sft_trainer",
        "toy_sft",
        f"model.path={files['model']}",
        f"data.train_files={files['sft']}",
        "data.train_batch_size=16",
        "optim.lr=5e-3",
        f"trainer.default_local_dir={folder / 'checkpoints'}",
        *settings,
        how=how,
        **one_process,
        MASTER_PORT=str(free_port()),
    )


def rl(
    toy: Toy,
    folder: Path,
    ray_folder: str,
    *settings: str,
    recipe: str = "toy_p_grpo",
    fails: bool = False,
    **environment: str,
) -> list[dict[str, Any]]:
    """P-GRPO by a toy recipe."""
    checkpoints = f"trainer.default_local_dir={folder / 'checkpoints'}"
    arguments = [*rl_files(toy), *SMALL, *settings, checkpoints]
    environment |= {"RAY_TMPDIR": ray_folder}
    how = {"fails": fails}
    return verl(folder, "verl.trainer.main_ppo", recipe, *arguments, how=how, **environment)


def losses_of(logged: list[dict[str, Any]]) -> dict[int, float]:
    """Of SFT, by step."""
    return {line["step"]: line["data"]["train/loss"] for line in logged if "train/loss" in line["data"]}


def steps_of(logged: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry["data"] for entry in logged if "actor/pg_loss" in entry["data"]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy's files with a model that SFT taught to fork."""
    folder = tmp_path_factory.mktemp("sft")
    files = write_files(folder / "files", 0, FORKING_PRESET)
    losses = losses_of(sft(files, folder, f"trainer.total_epochs={SFT_EPOCHS}"))
    assert losses[SFT_EPOCHS * 8] < losses[1] / 2
    (model,) = folder.glob("checkpoints/global_step_*/huggingface")
    return {**files, "model": model, "untrained": files["model"], "metrics": folder / METRICS_FILE}


@pytest.fixture(scope="module")
def float32(trained: Toy) -> Error:
    return float32_error(trained["model"], trained["rl"])


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """Short: the path of a socket in it has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="tw", ignore_cleanup_errors=True) as folder:
        yield folder


def test_a_killed_sft_goes_on_with_its_weights_and_its_optimizer(trained: Toy, tmp_path: Path) -> None:
    """SIGKILL after a checkpoint: the losses that follow are those of the unbroken run, `trained`."""
    unbroken, metrics = losses_of(logged_in(trained["metrics"])), tmp_path / METRICS_FILE
    files = {**trained, "model": trained["untrained"]}
    settings = [f"trainer.total_epochs={SFT_EPOCHS}", "trainer.save_freq=4"]  # in the middle of an epoch
    latest = tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt"  # written last
    sft(files, tmp_path, *settings, kill_when=latest.exists)
    step = int(latest.read_text())
    metrics.unlink()
    resumed = losses_of(
        sft(files, tmp_path, *settings, kill_when=lambda: len(losses_of(logged_in(metrics))) >= 8)
    )
    assert list(resumed)[:8] == [*range(step + 1, step + 9)] and step >= 4
    assert resumed == pytest.approx({step: unbroken[step] for step in resumed}, rel=1e-4)


def test_rows_with_bypass_and_weights_that_do_not_arrive_and_then_are_refused(
    trained: Toy, tmp_path: Path, ray_folder: str, float32: Error
) -> None:
    """vLLM misses the weights of the second step, the negative control of `check_fidelity`, and refuses the
    fourth's.

    (That an engine that dies ends the run is seen in `tests/runs/quickstart/test_quickstart.py`.)
    """
    settings = [*ROWS, *BYPASS, worker_setting(faulty_workers.DeafAndRefusingWorker)]
    settings += [f"++{KEY}.engine_timeout_s=30", "trainer.total_training_steps=4"]
    *heard, deaf = steps_of(rl(trained, tmp_path, ray_folder, *settings, fails=True))
    assert len(heard) == 2
    check_steps([*heard, deaf], several_rows=True)
    for step in heard:
        check_fidelity(step, float32)
    with pytest.raises(AssertionError):
        check_fidelity(deaf, float32)
    check_one_error(tmp_path, r"EngineError: update_weights has not ended within 30 s")


@pytest.mark.nightly
def test_a_pool_goes_on_decoding_while_the_trainer_trains(
    trained: Toy, tmp_path: Path, ray_folder: str, float32: Error
) -> None:
    """verl's `separate_async`: from the second step on what is trained was begun before the last update."""
    dumps = tmp_path / "dumps"
    recipe = "toy_p_grpo_separate_async"
    logged = rl(trained, tmp_path, ray_folder, f"trainer.rollout_data_dir={dumps}", recipe=recipe)
    first, second = steps_of(logged)
    check_steps([first, second])
    check_fidelity(first, float32)
    assert first["threadweaver/staleness/max"] == first["threadweaver/staleness/mixed_versions"] == 0
    assert second["threadweaver/staleness/max"] == 1 >= second["threadweaver/staleness/mean"] > 0
    check_dumps(dumps)
    calls = [call for line in logged_in(dumps / "2.jsonl") for call in line["call_versions"]]
    assert {version for call in calls for version in call} <= {0, 1} and [0, 0] in calls


@pytest.mark.nightly
@pytest.mark.timeout(2400)  # two runs
def test_on_two_nodes_a_killed_rank_ends_the_run_which_goes_on_where_it_was(
    trained: Toy, tmp_path: Path, ray_folder: str, float32: Error
) -> None:
    """Trie, reference model, dynamic batch, a rank to a node; one dies in the third update."""
    dumps, died = tmp_path / "dumps", tmp_path / "died"
    environment = {DIED: str(died), "VERL_FILE_LOGGER_PATH": str(tmp_path / METRICS_FILE)}
    with two_nodes(ray_folder, environment) as nodes:
        settings = [*TWO_NODES, *nodes, f"trainer.rollout_data_dir={dumps}"]
        logged = rl(trained, tmp_path, ray_folder, *settings, "trainer.val_before_train=true", fails=True)
        check_one_error(tmp_path, r"EngineError: rank 1 of the actor died \(.+\)\. See its log")
        check_dumps(dumps)
        *before, resumed = steps_of(rl(trained, tmp_path, ray_folder, *settings))
    first, second = steps_of(logged)
    assert before == [first, second]  # verl's file of metrics goes on
    assert len({Path(f"{died}_{rank}").read_text() for rank in (0, 1)}) == 2
    assert first["actor/kl_loss"] == pytest.approx(0, abs=1e-5)  # the actor is still its reference
    check_validation(logged)
    assert resumed["training/global_step"] == 3
    check_steps([first, second, resumed])
    for step in (first, second, resumed):
        check_fidelity(step, float32)


def check_steps(steps: list[dict[str, Any]], several_rows: bool = False) -> None:
    """What holds in each step from a run's first on; verl's own means are over rows."""
    check_vital_signs(steps)
    for step in steps:
        assert step["training/rollout_probs_diff_valid"] == 1
        assert step["threadweaver/activation/mean"] > 0
        assert step["threadweaver/trajectories"] == 16
        assert (step["threadweaver/groups_with_spread"] > 0) == (step["critic/advantages/max"] > 1e-6)
        assert 0 < step["threadweaver/longest/mean"] < step["threadweaver/total/mean"]
        if not several_rows:
            assert step["critic/score/mean"] == pytest.approx(step["threadweaver/score/mean"])
            assert step["actor/ppo_kl"] == pytest.approx(0, abs=1e-5)


def check_one_error(folder: Path, message: str) -> None:
    log = (folder / "log.txt").read_text()
    assert re.search(message, log) and "to go on from the last checkpoint" in log, log[-4000:]


def worker_setting(worker: type) -> str:
    name = f"{worker.__module__}.{worker.__name__}"
    return f"actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls={name}"


def check_dumps(folder: Path) -> None:
    """`threadweaver view` reads what verl wrote of the training rollouts: joined trajectories, not rows."""
    reading = read([folder])
    assert len(reading.sources) == 2 and len(reading.trajectories) == 32 and not reading.unreadable
    forked = [viewed for viewed in reading.trajectories if "<Thread>" in viewed.text]
    assert forked and all(viewed.mode == "parallel" for viewed in forked)
    assert all(viewed.measure(len)[1].blocks > 0 for viewed in forked if not viewed.malformed)


def check_validation(logged: list[dict[str, Any]]) -> None:
    """What the reward function returned, averaged by verl over the held-out problems."""
    first = logged[0]["data"]
    for value in ("acc", "format", "longest", "total", "acceleration", "activation", "blocks"):
        assert any(key.startswith("val-") and f"/{value}/mean@1" in key for key in first), value
    assert first[FAILED_IN_VALIDATION] == 0
