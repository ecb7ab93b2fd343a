"""docs/settings.md is what the declarations say, and who offers a setting has it from there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer.main

from openrlhf_ext import settings as openrlhf
from tests.support.root import ROOT
from tw_plugins.cli.app import app
from tw_plugins.cli.options import sentence
from tw_plugins.evaluation.settings import EvalSettings
from tw_plugins.reward import RewardSettings
from tw_plugins.rollout import RolloutSettings
from tw_plugins.settings import declared
from tw_plugins.sft import SFTSettings
from tw_plugins.sft.settings import TableSettings
from verl_ext import settings as verl

NEVER_AN_OPTION = ("answer_reserve", "engine_args")


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, "scripts/settings_page.py"]
    made = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert made.stdout.decode() == page, f"run {' '.join(command[1:])} > docs/settings.md"


@pytest.mark.parametrize(
    ("core", "adapters"),
    [
        (RolloutSettings, (verl.Settings, openrlhf.RLSettings)),
        (RewardSettings, (verl.RewardKwargs, openrlhf.RLSettings)),
        (SFTSettings, (TableSettings, openrlhf.SFTSettings)),
    ],
)
def test_both_adapters_have_the_cores_settings(core: type, adapters: tuple[type, ...]) -> None:
    """The same type, range, default and text."""
    assert declared(core)
    for adapter in adapters:
        assert {name: declared(adapter)[name] for name in declared(core)} == declared(core)


@pytest.mark.parametrize("name", sorted(declared(EvalSettings).keys() - set(NEVER_AN_OPTION)))
def test_options_have_help_range_and_default_of_the_declaration(name: str) -> None:
    one = declared(EvalSettings)[name]
    command = typer.main.get_command(app).commands["eval"].commands["run"]
    (option,) = [parameter for parameter in command.params if sentence(one) in (parameter.help or "")]
    assert option.default in (one.default, None)
    assert (option.min, option.max) == (one.least, one.most)


def test_every_setting_says_what_it_is() -> None:
    for kind in (verl.Settings, verl.RewardKwargs, TableSettings, openrlhf.RLSettings, openrlhf.SFTSettings):
        assert all(one.text and not one.text.endswith(".") for one in declared(kind).values())
