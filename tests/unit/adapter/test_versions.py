"""The supported versions are one truth: what a run is checked against is what pip is asked for."""

from __future__ import annotations

import importlib
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.contract_matrix import ROOT, VERSIONS, Result, table

CHOSEN_BY_USERS = {"vllm"}  # builds for CUDA and for the CPU


@pytest.mark.parametrize("name", VERSIONS)
def test_the_extra_asks_for_the_supported_versions(name: str) -> None:
    supported = importlib.import_module(f"{name}_ext.seams").SUPPORTED.versions
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {wanted.name: wanted.specifier for wanted in map(Requirement, extras[name])}
    expected = {part: SpecifierSet(spec) for part, spec in supported.items() if part not in CHOSEN_BY_USERS}
    assert {part: asked.get(part) for part in expected} == expected


@pytest.mark.parametrize("name", VERSIONS)
def test_the_pinned_version_is_supported_and_in_the_matrix(name: str) -> None:
    supported = importlib.import_module(f"{name}_ext.seams").SUPPORTED.versions[name]
    for file in (ROOT / "requirements").glob(f"{name}-*.txt"):
        (pinned,) = (
            line[len(name) + 2 :] for line in file.read_text().splitlines() if line.startswith(f"{name}==")
        )
        assert SpecifierSet(supported).contains(pinned) and pinned in VERSIONS[name]


def test_the_table_says_what_is_not_supported() -> None:
    results = [Result("0.9.0", True, "28 passed"), Result("0.9.1", False, "1 failed", ("test_a",))]
    first, second, moved = table("verl", "~=0.9.1", results)
    assert first.startswith("verl 0.9.0") and "contracts hold" in first and "[28 passed]" in first
    assert "not supported (verl~=0.9.1): a run is refused" in first
    assert "contracts broken" in second and "not supported" not in second
    assert moved == "    test_a"
