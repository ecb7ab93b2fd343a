"""The wheel holds the three packages whole, and nothing else beside them."""

from __future__ import annotations

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
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")
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
    assert held == there
    assert {Path(name).suffix for name in held} >= {".py", ".j2", ".css", ".js"}


def test_what_it_says_of_itself(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    extras = metadata.get_all("Provides-Extra") or []
    assert set(extras) == set(project["optional-dependencies"])
