"""Which environment runs what, and what tests of several folders share.

Each environment has one framework; the other one's tests are left out. Of the core's tests most need no
framework and run once, in the first environment; those that depend on a package whose version differs carry
the mark ``both``, those of an adapter ``adapter`` (Makefile).
"""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.support.light_processes
import tests.support.no_terminal
import tests.support.parsed_once  # noqa: F401 (these three change what follows)
from tests.support.eval_server import data, model, server
from tests.support.hostile_grading import pool
from tw_plugins.adapter.versions import installed
from tw_plugins.toy.preset import SMOKE_PRESET, write_files

__all__ = ["data", "model", "pool", "server"]

FOLDERS = {
    framework: tuple(
        folder.format(framework) for folder in ("unit/{}_ext/", "integration/{}_ext/", "runs/{}/")
    )
    for framework in ("verl", "openrlhf")
}
ADAPTERS = (*FOLDERS["verl"], *FOLDERS["openrlhf"])

collect_ignore = [folder for name in FOLDERS if installed(name) is None for folder in FOLDERS[name]]

BOTH = (
    "unit/attention/test_fidelity.py",
    "unit/attention/test_span.py",
    "unit/attention/test_trie_attention.py::test_models",
    "unit/attention/test_trie_attention.py::test_every_attention",
    "unit/data/test_add_tokens.py",
    "unit/trajectory/test_encoding.py",
    "unit/trie/test_packing.py::test_a_pack_computes",
    "integration/attention/",
    "runs/quickstart/",
)
"""Those whose result depends on transformers, whose versions differ; those of torch and vLLM are the same
(`unit/test_requirements.py`)."""


SECOND = "adapter or both"
"""In the `-m` of an environment that leaves the core's tests to the first one (Makefile)."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In the second environment files without a test that runs are not even imported."""
    if SECOND not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    path = collection_path.relative_to(Path(__file__).parent).as_posix()
    runs = path.startswith(ADAPTERS) or any(path.startswith(test.partition("::")[0]) for test in BOTH)
    return None if runs else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks by folder, so that there is none to forget."""
    for item in items:
        path = item.nodeid.removeprefix("tests/")
        if path.startswith(BOTH):
            item.add_marker("both")
        if path.startswith(ADAPTERS):
            item.add_marker("adapter")


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths of ``model`` (untrained), ``sft``, ``rl`` and ``eval`` of the toy task, made in a second."""
    return write_files(tmp_path_factory.mktemp("toy"), 0, SMOKE_PRESET)
