"""The smoke job of the folder for verl-recipe, from an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kits import check_steps, copy_kit, run_smoke


@pytest.mark.timeout(1200)
def test_the_smoke_job(tmp_path: Path) -> None:
    kit = copy_kit("verl-recipe/threadweaver", tmp_path / "kit")
    steps = run_smoke(kit / "run_smoke.sh", tmp_path)
    check_steps(steps)
    assert all(step["threadweaver/trajectories"] == 16 for step in steps)
