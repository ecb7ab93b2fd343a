"""verl is asked for the CPU before it is imported, as in a run here; the rows that its engine is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tests.support.verl.platform  # noqa: F401 (before verl)
from tests.support.reference import in_row_order, request_logprobs
from tests.support.verl.engines import plain, process_group, stories, tiny_model
from tests.support.verl.eq4 import GROUPS, eq4
from tw_plugins.rollout import Rollout


@pytest.fixture(scope="module")
def group() -> Iterator[None]:
    with process_group():
        yield


@pytest.fixture(scope="module")
def model(group: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def trie(model: Path) -> list[tuple[Rollout, list[Any]]]:
    return stories(model, GROUPS, "trie")


@pytest.fixture(scope="module")
def reference(model: Path) -> Any:
    return plain(model)


@pytest.fixture(scope="module")
def wanted(reference: Any, trie: Any) -> list[torch.Tensor]:
    """Per trajectory the log-probs of its requests, in the order of its row."""
    with torch.no_grad():
        return [in_row_order(rollout, request_logprobs(reference, rollout)) for rollout, _ in trie]


@pytest.fixture(scope="module")
def paper(model: Path, trie: Any) -> dict[str, torch.Tensor]:
    """Gradient of Eq. 4 by name."""
    return eq4(model, [rollout for rollout, _ in trie])
