"""What the tests of openrlhf_ext share; every piece is in place before OpenRLHF is imported, as in a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openrlhf_ext import hooks
from openrlhf_ext.launcher import CPU_ENVIRONMENT
from tw_plugins.toy.preset import SMOKE_PRESET, write_files

os.environ.update(CPU_ENVIRONMENT)
hooks.install()


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of ``model`` (untrained), ``sft``, ``rl`` and ``eval``."""
    return write_files(tmp_path_factory.mktemp("toy"), 0, SMOKE_PRESET)
