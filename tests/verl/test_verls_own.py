"""verl's own CPU tests of agent loops, rewards and advantages pass with the plug-in: its wheel has them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

TOPICS = re.compile(
    r"^tests/(experimental/agent_loop/test_\w+_on_cpu|trainer/(ppo/)?test_(\w+_on_cpu|rollout_corr\w*)"
    r"|checkpoint_engine/test_global_steps_on_cpu|test_base_config_on_cpu|test_protocol_on_cpu)\.py$"
)
PYTEST = """
import sys, pytest, verl
assert "verl_ext.plugin" in sys.modules
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_they_pass(tmp_path: Path) -> None:
    chosen = [path for path in files("verl") or () if TOPICS.match(path.as_posix())]
    if not chosen:
        pytest.skip("this verl ships no tests")
    paths = sorted(str(path.locate()) for path in chosen)
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    done = subprocess.run(
        [sys.executable, "-c", PYTEST, *paths, *options, f"--rootdir={Path(paths[0]).parents[2]}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 100
