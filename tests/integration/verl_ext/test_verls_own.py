"""verl's own CPU tests of agent loops, rewards and advantages pass with the plug-in: its wheel has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.own_tests import passed

TOPICS = (
    r"tests/(experimental/agent_loop/test_\w+_on_cpu|trainer/(ppo/)?test_(\w+_on_cpu|rollout_corr\w*)"
    r"|checkpoint_engine/test_global_steps_on_cpu|test_base_config_on_cpu|test_protocol_on_cpu)\.py"
)
PLUGGED_IN = 'import verl; assert "verl_ext.plugin" in sys.modules'


def test_they_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # they write files where they run
    assert passed("verl", TOPICS, PLUGGED_IN, "-o", "asyncio_mode=auto") > 100
