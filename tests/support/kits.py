"""What the tests of the upstream kits share: a kit copied away, and its scripts run from elsewhere."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.commands import ROOT
from tests.support.vital_signs import check_vital_signs

KITS = ROOT / "recipes" / "upstream"
TIME_LIMIT_S = 900  # thrice what it takes on two idle cores


def copy_kit(name: str, folder: Path) -> Path:
    """The kit ``name``, the only thing in the new ``folder``."""
    copied = folder / Path(name).name
    shutil.copytree(KITS / name, copied)
    return copied


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing but this environment's commands, this checkout's packages, and a home in ``folder``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    return {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT), **more}


def bash(script: Path, *arguments: str, cwd: Path, env: dict[str, str]) -> str:
    """The script's output; fails with its end when the script fails."""
    done = subprocess.run(
        ["bash", str(script), *arguments],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def recorded(script: Path, stand_in_for: str, *arguments: str, cwd: Path, **env: str) -> list[str]:
    """The arguments with which a script calls the command ``stand_in_for``, which is not run."""
    commands = cwd / "commands"
    commands.mkdir(exist_ok=True)
    stand_in = commands / stand_in_for
    stand_in.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" > {commands}/arguments\n')
    stand_in.chmod(0o755)
    variables = environment(cwd, **env)
    bash(script, *arguments, cwd=cwd, env={**variables, "PATH": f"{commands}:{variables['PATH']}"})
    return (commands / "arguments").read_text().split("\0")[:-1]


def run_smoke(script: Path, tmp_path: Path, *settings: str) -> list[dict[str, Any]]:
    """The metrics of each RL step of a kit's smoke job, run from an empty folder in a clean environment.

    `settings` are of its RL stage.
    """
    elsewhere, home, out = (tmp_path / name for name in ("elsewhere", "home", "out"))
    elsewhere.mkdir()
    home.mkdir()
    output = bash(script, str(out), *settings, cwd=elsewhere, env=environment(home))
    assert output.count('"threadweaver/activation/mean"') == 2  # its own summary
    assert not list(elsewhere.iterdir())  # nothing depends on the working directory
    lines = (out / "rl" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["data"] for line in lines]


def check_steps(steps: list[dict[str, Any]]) -> None:
    """Two steps; every number finite, some trajectories fork, and the actor agrees with vLLM, unless vLLM had
    the weights of the step before."""
    assert len(steps) == 2
    check_vital_signs(steps)
    for step in steps:
        assert all(math.isfinite(value) for value in step.values() if isinstance(value, (int, float)))
        assert step["threadweaver/activation/mean"] > 0
        assert step["threadweaver/threads_per_block/mean"] > 0
        stale = step["threadweaver/staleness/max"]
        assert stale <= 1
        assert stale or step["training/rollout_probs_diff_max"] < 1e-4
    assert steps[0]["threadweaver/staleness/max"] == 0


def check_scripts(kit: Path) -> None:
    """Every script can be run and parses."""
    scripts = sorted(kit.rglob("*.sh"))
    assert scripts
    for script in scripts:
        assert os.access(script, os.X_OK), script
        subprocess.run(["bash", "-n", str(script)], check=True)
