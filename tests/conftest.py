"""Each environment has one framework; the other one's tests are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.eval_server import data, model, server
from tests.support.hostile_grading import pool
from tw_plugins.adapter.versions import installed
from tw_plugins.toy.preset import SMOKE_PRESET, write_files

__all__ = ["data", "model", "pool", "server"]

FOLDERS = ("unit/{}_ext", "integration/{}_ext", "runs/{}")

collect_ignore = [
    folder.format(framework)
    for framework in ("verl", "openrlhf")
    for folder in FOLDERS
    if installed(framework) is None
]


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of ``model`` (untrained), ``sft``, ``rl`` and ``eval`` of the toy task, made in a second."""
    return write_files(tmp_path_factory.mktemp("toy"), 0, SMOKE_PRESET)
