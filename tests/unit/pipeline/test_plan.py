"""From a file to commands: their order, what takes what, what is run again, and what is written down."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.pipelines import RUN, TEXT, plan_of, write
from tw_plugins.pipeline.fingerprints import fingerprints
from tw_plugins.pipeline.plan import Plan
from tw_plugins.pipeline.written import COMMANDS, FILE, script, write_run

AFTER = ["rl-selftrain", "eval-selftrain"]
ORDER = ["add-tokens", "stage1", "sft", "selftrain", *AFTER]
MORE = {"framework": "openrlhf"}


def words(plan: Plan) -> dict[str, list[str]]:
    return {job.name: list(job.command) for stage in plan.stages for each in stage.rounds for job in each}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    assert before.keys() == after.keys()
    return [stage for stage in before if before[stage] != after[stage]]


@pytest.mark.parametrize("framework", ["verl", "openrlhf"])
def test_each_stage_takes_what_the_one_before_left(tmp_path: Path, framework: str) -> None:
    plan = plan_of(write(tmp_path, TEXT.replace("framework: verl", f"framework: {framework}")))
    assert [stage.folder.name for stage in plan.stages] == ORDER
    made = words(plan)

    def takes(name: str, what: object) -> bool:
        return any(str(what) in word for word in made[name])

    model = RUN / "add-tokens" / "model"
    assert takes("rewriting", model) and takes("SFT with threads", model)
    assert takes("SFT with threads", RUN / "stage1" / "sft.parquet")
    assert takes("sampling", plan.models["sft"]) and takes("SFT on own samples", plan.models["sft"])
    assert takes("SFT on own samples", RUN / "selftrain" / "samples" / "sft.parquet")
    # without an SFT of its own the baseline starts where P-GRPO does
    assert takes("P-GRPO, fork-join", plan.models["selftrain"])
    assert takes("GRPO, sequential", plan.models["selftrain"])
    for name, trained in plan.models.items():
        assert takes(f"evaluate {name}", trained) and takes(f"evaluate {name} on math500", trained)
    assert takes("wall clock", plan.models["rl"]) and takes("wall clock", plan.models["baseline"])


def test_one_verifier_and_one_seed_for_all(tmp_path: Path) -> None:
    made = words(plan_of(write(tmp_path)))
    for name in ("rewriting", "sampling", "evaluate rl"):
        assert made[name][made[name].index("--verifier") + 1] == "choice"
    for name in ("sampling", "evaluate rl"):
        assert made[name][made[name].index("--seed") + 1] == "4"
    assert "++reward.custom_reward_function.reward_kwargs.verifier=choice" in made["P-GRPO, fork-join"]
    assert "actor_rollout_ref.rollout.seed=4" in made["GRPO, sequential"]


def test_settings_are_last_and_untouched(tmp_path: Path) -> None:
    text = TEXT.replace('["optim.lr=${lr}"]', """["optim.betas=[0.9, 0.95]", "+a.b='x y'", 3]""")
    assert words(plan_of(write(tmp_path, text)))["SFT with threads"][-3:] == [
        "optim.betas=[0.9, 0.95]", "+a.b='x y'", "3",
    ]  # fmt: skip


def test_options_are_the_commands_own(tmp_path: Path) -> None:
    made = words(plan_of(write(tmp_path)))
    assert "--answer-line" in made["evaluate rl"] and "--price-in" in made["rewriting"]
    assert "--answer-line" not in made["wall clock"]  # which has no such option
    assert made["wall clock"][-2:] == ["--max-tokens", "512"]


def test_a_stage_that_is_skipped_is_not_there(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path, TEXT.replace("selftrain:\n", "selftrain:\n  skip: true\n")))
    assert [stage.folder.name for stage in plan.stages] == ["add-tokens", "stage1", "sft", "rl", "eval"]
    assert set(plan.models) == {"sft", "rl", "baseline"}


def test_one_after_the_other_unless_side_by_side(tmp_path: Path) -> None:
    apart = plan_of(write(tmp_path))
    together = plan_of(write(tmp_path, TEXT + "hardware: {side_by_side: true}\n"))
    assert all(len(each) == 1 for stage in apart.stages for each in stage.rounds)
    assert [len(each) for each in together.stages[-1].rounds] == [4, 4, 1, 1]
    some = plan_of(write(tmp_path, TEXT + "hardware: {side_by_side: [eval]}\n"))
    assert {s.name: max(map(len, s.rounds)) for s in some.stages if max(map(len, s.rounds)) > 1} == {
        "eval": 4
    }


def test_a_stage_has_variables_of_its_own(tmp_path: Path) -> None:
    text = TEXT.replace("\nrl:\n", "\nrl:\n  environment: {OMP_NUM_THREADS: 2, A: b}\n")
    plan = plan_of(write(tmp_path, text + "environment: {OMP_NUM_THREADS: 1, C: 3}\n"))
    found = {stage.name: stage.rounds[0][0].env for stage in plan.stages}
    assert (found["sft"]["OMP_NUM_THREADS"], found["rl"]["OMP_NUM_THREADS"]) == ("1", "2")
    assert found["rl"]["A"] == "b" and found["rl"]["C"] == "3" and "A" not in found["sft"]


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("  clock: 3", "  clock: 4", AFTER[1:]),
        ("  steps: 7", "  steps: 8", AFTER),
        ("samples: 4", "samples: 5", ["selftrain", *AFTER]),
        ("lr: 0.001", "lr: 0.002", ["sft", "selftrain", *AFTER]),
        ("price-in: 0.5", "price-in: 1.5", ["stage1", "sft", "selftrain", *AFTER]),
        ("model: owner/model", "model: owner/other", ORDER),
        ("seed: 4", "seed: 4\nenvironment: {OMP_NUM_THREADS: 2}\nstall_minutes: 3  # a comment", []),
    ],
)
def test_an_edit_runs_again_what_depends_on_it(tmp_path: Path, old: str, new: str, again: list[str]) -> None:
    before = fingerprints(plan_of(write(tmp_path)))
    assert old in TEXT
    assert changed(before, fingerprints(plan_of(write(tmp_path, TEXT.replace(old, new, 1))))) == again


def test_other_data_under_the_same_name_run_again_what_reads_them(tmp_path: Path) -> None:
    file = write(tmp_path)
    before = fingerprints(plan_of(file))
    (tmp_path / "rl.jsonl").write_text('{"other": 1}\n')
    assert changed(before, fingerprints(plan_of(file))) == ["selftrain", *AFTER]


def test_a_run_elsewhere_is_the_same(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert fingerprints(plan_of(file)) == fingerprints(plan_of(file, tmp_path / "run"))


def test_the_folder_keeps_every_command_and_the_file(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    plan = plan_of(write(tmp_path, TEXT + 'environment: {GREETING: "it\'s me"}\n'), run)
    write_run(plan)
    lines = (run / COMMANDS).read_text().splitlines()
    subprocess.run(["bash", "-n", str(run / COMMANDS)], check=True)
    pasted = [shlex.split(line) for line in lines if line.startswith("GREETING=")]
    jobs = [job for stage in plan.stages for each in stage.rounds for job in each if job.env]
    assert [line[len(job.env) :] for line, job in zip(pasted, jobs, strict=True)] == [
        job.command for job in jobs
    ]
    assert all(line[0] == "GREETING=it's me" for line in pasted)
    # the file that is kept comes to the same commands, without variables and from any folder
    again = plan_of(run / FILE, run)
    assert script(again, again.stages) == script(plan, plan.stages)
    assert "variables" not in yaml.safe_load((run / FILE).read_text())
