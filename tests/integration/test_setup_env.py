"""The set-up script: what uv is handed of pip's configuration, and pip where uv fails. No network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.root import ROOT

LIST = "setuptools==77.0.3\ntorch==2.13.0+cpu\nuv==0.13.9\n"
FAKE_UV = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>uv.calls
env | grep -E '^(UV_|SSL_CERT_FILE)' >uv.env
exit {status}
"""
PIP_CONFIG = """[global]
index-url = https://user:secret@index.example/simple
extra-index-url = https://one.example/simple
    https://two.example/simple
constraint = limits.txt
[install]
find-links = wheels
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with a list of three, for a CPU and for CUDA."""
    for name in ("scripts/setup_env.sh", "requirements/vllm_alias/pyproject.toml", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for device in ("cpu", "cuda"):
        (tmp_path / "requirements" / f"verl-{device}.txt").write_text(LIST)
    (tmp_path / "pip.conf").write_text(PIP_CONFIG)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    return tmp_path


def set_up(project: Path, uv: str, **more: str) -> subprocess.CompletedProcess[str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    mine |= {"PYTHON": sys.executable, "PIP_CONFIG_FILE": "pip.conf", "HOME": str(project), "UV": uv}
    return subprocess.run(
        ["bash", "scripts/setup_env.sh", "verl"],
        cwd=project,
        env=mine
        | {"PYTHON": sys.executable, "PIP_CONFIG_FILE": "pip.conf", "HOME": str(project), "UV": uv}
        | more,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_uv(project: Path, status: int) -> str:
    path = project / "uv"
    path.write_text(FAKE_UV.format(status=status))
    path.chmod(0o755)
    return str(path)


def test_uv_is_handed_pips_sources_and_limits_and_none_is_shown(project: Path) -> None:
    done = set_up(project, fake_uv(project, 0), PIP_CONSTRAINT="mine.txt", UV_HTTP_TIMEOUT="7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("setup: .venv/verl is ready after ")
    handed = dict(line.split("=", 1) for line in (project / "uv.env").read_text().splitlines())
    assert handed["UV_DEFAULT_INDEX"] == "https://user:secret@index.example/simple"
    assert handed["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert handed["UV_FIND_LINKS"] == "wheels"
    assert handed["UV_CONSTRAINT"] == "mine.txt", "a variable of pip wins over its file"
    assert handed["UV_HTTP_TIMEOUT"] == "7", "a variable of uv stays"
    shown = done.stdout + done.stderr + (project / ".venv/verl/setup.log").read_text()
    assert "example" not in shown and "secret" not in shown
    assert "torch==2.13.0+cpu from pip's own sources" in shown
    calls = (project / "uv.calls").read_text().splitlines()
    assert any("-r requirements/verl" in call for call in calls)
    assert all("--compile-bytecode" in call for call in calls), "else every worker compiles torch again"


def test_pip_tries_what_uv_cannot_install(project: Path) -> None:
    done = set_up(project, fake_uv(project, 1), PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert "uv could not install this (why is in .venv/verl/setup.log), pip tries" in done.stdout
    assert "setup: pip could not install setuptools==77.0.3" in done.stderr


def test_without_uv_pip_installs(project: Path) -> None:
    done = set_up(project, "", PIP_NO_INDEX="1")
    assert done.returncode == 1 and "uv" not in done.stdout
    assert "setup: pip could not install setuptools==77.0.3" in done.stderr
