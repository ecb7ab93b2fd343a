"""`python -m openrlhf_ext.train_sft`: OpenRLHF's SFT command on ThreadWeaver trajectories as trie rows.

Started as upstream's is, for example `deepspeed --module openrlhf_ext.train_sft …`.
"""

from __future__ import annotations

import sys

from openrlhf_ext.launcher import launch
from openrlhf_ext.settings import SFTSettings

if __name__ == "__main__":
    launch("openrlhf.cli.train_sft", SFTSettings, sys.argv[1:])
