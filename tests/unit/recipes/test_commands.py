"""`quickstart.yaml` resolves to the commands that the committed seeds were made with (golden/*.tsv).

Those were written by the code before there was the file. Each word and variable is held, not their order: no
setting stands twice. Hydra's `hydra.*` says where the composed config is kept, and the port is a free one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recipes.quickstart.plan import DEFAULT_STAGES, STAGES, plan_of
from tests.support.root import ROOT
from tw_plugins.pipeline.plan import Plan

GOLDEN = Path(__file__).parent / "golden"
RUN = Path("/run/of/the/quickstart")
Command = tuple[str, str, str, list[str], list[str]]
VARIANTS = {"full-0-selftrain": (0, False, STAGES), "fast-3": (3, True, DEFAULT_STAGES)}


def plain(text: str) -> str:
    for place, name in (sys.executable, "PYTHON"), (sys.prefix, "PREFIX"), (RUN, "RUN"), (ROOT, "ROOT"):
        text = text.replace(str(place), f"${name}")
    return text


def made(plan: Plan) -> list[Command]:
    """Of every stage but the data's, which were made without a command, and what cuts samples to length."""
    jobs = [(stage, job) for stage in plan.stages for each in stage.rounds for job in each]
    return [
        (
            stage.folder.name,
            job.name,
            str(job.steps),
            sorted(plain(f"{name}={value}") for name, value in job.env.items() if name != "MASTER_PORT"),
            sorted(plain(word) for word in job.command if not word.startswith("hydra.")),
        )
        for stage, job in jobs
        if stage.name != "data" and job.name != "as many as SFT takes"
    ]


def golden(framework: str, variant: str) -> list[Command]:
    lines = [line.split("\t") for line in (GOLDEN / f"{framework}.tsv").read_text().splitlines()]
    return [
        (stage, name, steps, sorted(env.split(" ")), sorted(words.split(" ")))
        for of, stage, name, steps, env, words in lines
        if of == variant
    ]


@pytest.fixture(autouse=True)
def without_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipes.quickstart.plan.device_of", lambda framework: "cpu")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("framework", ["verl", "openrlhf"])
def test_the_commands_are_those_of_the_committed_seeds(framework: str, variant: str) -> None:
    seed, fast, chosen = VARIANTS[variant]
    found = made(plan_of(framework, RUN, seed, fast, chosen))
    assert found == golden(framework, variant) and len(found) > 7


@pytest.mark.parametrize("framework", ["verl", "openrlhf"])
def test_no_setting_stands_twice(framework: str) -> None:
    for *_, words in made(plan_of(framework, RUN, chosen=STAGES)):
        named = [word.partition("=")[0] for word in words if "=" in word or word.startswith("--")]
        assert len(named) > 3
        assert len(named) == len(set(named))


@pytest.mark.parametrize(("seed", "fast"), [(0, False), (3, True)])
def test_the_data_are_made_with_the_seeds_preset(seed: int, fast: bool) -> None:
    (first, *_) = plan_of("verl", RUN, seed, fast).stages
    ((job,),) = first.rounds
    asked = f"data toy --out {RUN}/data --preset {'smoke' if fast else 'standard'} --seed {seed}"
    assert job.command[3:] == asked.split()
