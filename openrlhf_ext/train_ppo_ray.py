"""`python -m openrlhf_ext.train_ppo_ray`: OpenRLHF's PPO command with fork-join rollouts and trie rows."""

from __future__ import annotations

import sys
from pathlib import Path

from openrlhf_ext.launcher import launch
from openrlhf_ext.settings import RLSettings

AGENT = Path(__file__).with_name("agent.py")

if __name__ == "__main__":
    launch("openrlhf.cli.train_ppo_ray", RLSettings, sys.argv[1:], agent=str(AGENT))
