"""The files that docs/pipeline.md shows are such files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pipelines import RUN, SUFFIXES, plan_of, write
from tests.support.root import ROOT
from tw_plugins.cli.own_commands import check_own
from tw_plugins.pipeline.reading import read_pipeline

SHOWN = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs/pipeline.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", SHOWN, ids=["whole", "tasks"])
def test_it_is_read_and_its_commands_are_parsed(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    (tmp_path / "problems.jsonl").write_text("{}\n")
    file = write(tmp_path, text)
    check_own(plan_of(file), read_pipeline(file, SUFFIXES, RUN).source)


def test_the_first_has_every_stage_and_the_second_its_own_data(tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    (tmp_path / "problems.jsonl").write_text("{}\n")
    names = [[stage.name for stage in plan_of(write(tmp_path, text)).stages] for text in SHOWN]
    assert names == [
        ["add-tokens", "stage1", "sft", "selftrain", "rl", "eval"],
        ["data", "add-tokens", "rl", "eval"],
    ]
