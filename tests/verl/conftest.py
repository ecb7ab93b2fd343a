"""What the tests of verl_ext share: a model and data sets of the toy task, made in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tw_plugins.toy.preset import SMOKE_PRESET, write_files


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of ``model`` (untrained), ``sft``, ``rl`` and ``eval``."""
    return write_files(tmp_path_factory.mktemp("toy"), 0, SMOKE_PRESET)
