"""Without DS_ACCELERATOR=cpu a machine without a GPU is not ours to judge: a driver joins its cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext.cpu.port import ENVIRONMENT
from tests.support.openrlhf import noted_driver
from tests.support.openrlhf.flags import flags_of
from tests.support.root import ROOT

Toy = dict[str, Path]
NAMES = "def index_first_axis(): ...\ndef pad_input(): ...\ndef rearrange(): ...\ndef unpad_input(): ...\n"


def noted(toy: Toy, *path: Path) -> dict[str, Any]:
    """What `noted_driver` finds with the toy recipe's flags, its environment without the CPU port's."""
    files = ["--actor.model_name_or_path", str(toy["model"]), "--data.prompt_dataset", str(toy["rl"])]
    plain = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, "-m", noted_driver.__name__, *flags_of("train_toy_p_grpo.sh"), *files],
        env={**plain, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path)))},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture
def flash_attn(tmp_path: Path) -> Path:
    """A folder with the names that OpenRLHF imports of flash-attn, which a GPU cluster's driver has."""
    package = tmp_path / "flash_attn"
    (package / "utils").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "2.8.3"\n')
    (package / "bert_padding.py").write_text(NAMES)
    (package / "utils" / "__init__.py").touch()
    (package / "utils" / "distributed.py").write_text("def all_gather(): ...\n")
    return tmp_path


def test_the_driver_starts_or_joins_ray_as_upstream_does(toy: Toy, flash_attn: Path) -> None:
    found = noted(toy, flash_attn)
    assert found["port"] == []
    assert found["synchronize"] == "torch.cuda"
    assert found["mesh"].startswith("torch.")
    assert found["group"] == "openrlhf.utils.distributed_util"
    assert found["unpad"] == "flash_attn.bert_padding"
    assert found["ray"].keys() == {"runtime_env"}  # upstream's only option: no address, no logical GPUs
    assert found["ray"]["runtime_env"].keys() == {"env_vars", "worker_process_setup_hook"}
    assert not ENVIRONMENT.keys() & found["ray"]["runtime_env"]["env_vars"].keys()
