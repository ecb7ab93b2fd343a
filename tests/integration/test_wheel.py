"""The wheel holds the three packages whole and the recipes in one of them, and nothing else beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.root import ROOT

PACKAGES = ("tw_plugins", "verl_ext", "openrlhf_ext")
BUILT_FROM = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
RECIPES = "tw_plugins/_recipes/"
MADE_BY_RUNNING = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Built from a copy: setuptools leaves its folders beside what it builds."""
    copy = tmp_path_factory.mktemp("project")
    for name in (*PACKAGES, "recipes"):
        shutil.copytree(ROOT / name, copy / name, ignore=MADE_BY_RUNNING)
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, copy)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "dist",
        ".",
    ]
    subprocess.run(command, cwd=copy, check=True)
    (built,) = (copy / "dist").glob("*.whl")
    return ZipFile(built)


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_three_packages_at_top_level(wheel: ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_file_of_theirs_is_in_it(wheel: ZipFile) -> None:
    """Templates, style sheets, scripts, prompts and settings too."""
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name for name in held if RECIPES not in name} == there
    assert {Path(name).suffix for name in held} >= {".py", ".j2", ".css", ".js"}


def test_an_installed_wheel_lists_and_copies_its_recipes(wheel: ZipFile, tmp_path: Path) -> None:
    """As a user of pip has it: no checkout, and a folder `recipes` of torchtune's beside our packages."""
    site = tmp_path / "site-packages"
    for name in wheel.namelist():
        wheel.extract(name, site)
    (site / "recipes").mkdir()

    def threadweaver(*words: str) -> str:
        command = [sys.executable, "-m", "tw_plugins.cli", "recipes", *words]
        environment = {**os.environ, "PYTHONPATH": str(site)}
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)

    names = [line.split()[0] for line in threadweaver("ls").splitlines()]
    assert {"verl/qwen3_8b_p_grpo", "openrlhf/train_toy_sft", "quickstart/quickstart"} <= {*names}
    assert not [name for name in names if name.startswith("smollm2")], "its data are made by the checkout"
    threadweaver("cp", "openrlhf/train_qwen3_8b_grpo_sequential")
    for name in ("train_qwen3_8b_grpo_sequential.sh", "train_qwen3_8b_p_grpo.sh"):
        copied = tmp_path / "recipes" / "openrlhf" / name
        assert copied.read_bytes() == (ROOT / "recipes" / "openrlhf" / name).read_bytes()


def test_what_it_says_of_itself(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    extras = metadata.get_all("Provides-Extra") or []
    assert set(extras) == set(project["optional-dependencies"])
