"""verl's own command stops at the first wrong setting, before Ray starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.verl.configs import RECIPES, rl_files
from verl_ext.settings import KEY

Toy = dict[str, Path]


@pytest.mark.parametrize(
    ("override", "platform", "message"),
    [
        (f"{KEY}.layout=rows", "cpu", "error: algorithm.adv_estimator=p_grpo needs one row per trajectory"),
        ("trainer.device=cpu", "", "error: trainer.device=cpu needs VERL_PLATFORM=cpu in the environment"),
    ],
    ids=["a wrong setting", "the CPU, not asked for"],
)
def test_verls_own_command_stops_before_ray(
    toy: Toy, tmp_path: Path, override: str, platform: str, message: str
) -> None:
    """In one line; Hydra leaves `SystemExit` alone, with HYDRA_FULL_ERROR=1 too."""
    recipe = ["--config-path", str(RECIPES), "--config-name", "toy_p_grpo"]
    ray_folder = tmp_path / "ray"
    done = subprocess.run(
        [sys.executable, "-m", "verl.trainer.main_ppo", *recipe, *rl_files(toy), override],
        env={
            **os.environ,
            "RAY_TMPDIR": str(ray_folder),
            "HYDRA_FULL_ERROR": "1",
            "VERL_PLATFORM": platform,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
    assert not ray_folder.exists() and "ray init kwargs" not in done.stdout
