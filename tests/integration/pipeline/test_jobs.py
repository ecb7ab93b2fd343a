"""What a job starts is seen by nobody else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from recipes.quickstart.settings import job_environment
from tests.support.jobs import make_job, quiet_bars
from tw_plugins.pipeline.jobs import run_side_by_side


def test_ray_listens_on_loopback_only(tmp_path: Path) -> None:
    """`ray_constants.ENABLE_RAY_CLUSTER`, made for other systems, does that on Linux too."""
    found = tmp_path / "addresses.json"
    code = (
        "import json, os, psutil, ray\n"
        "ray.init(address='local', num_cpus=1, include_dashboard=False, object_store_memory=100 << 20)\n"
        "def work(): return 1\n"
        "ray.get(ray.remote(work).remote())\n"
        "mine = [p for p in psutil.process_iter() if os.getsid(p.pid) == os.getsid(0)]\n"
        "listening = [c.laddr.ip for p in mine for c in p.net_connections() if c.status == 'LISTEN']\n"
        f"json.dump(listening, open({str(found)!r}, 'w'))"
    )
    run_side_by_side([replace(make_job(tmp_path, "ray", code), env=job_environment())], quiet_bars())
    addresses = json.loads(found.read_text())
    assert len(addresses) > 4 and set(addresses) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
