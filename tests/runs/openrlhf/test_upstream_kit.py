"""The smoke job of the examples for OpenRLHF's repository, from an empty folder and a clean environment, and
asynchronous, which no other run is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kits import check_steps, copy_kit, run_smoke

ASYNCHRONOUS_SPLIT_ROWS = [
    "--train.async_enable",
    "--actor.num_gpus_per_node", "2",
    "--ds.ring_attn_size", "2",
    "--ds.packing_samples",
    "--train.dynamic_batch_enable",
    "--train.max_tokens_per_gpu", "900",
]  # fmt: skip


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_smoke_job(tmp_path: Path) -> None:
    kit = copy_kit("openrlhf/examples", tmp_path / "upstream")
    steps = run_smoke(kit / "scripts" / "train_threadweaver_smoke.sh", tmp_path, *ASYNCHRONOUS_SPLIT_ROWS)
    check_steps(steps)
    assert all(step["rollout/num_samples"] == 16 for step in steps)
