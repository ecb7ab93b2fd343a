"""Names that users type: each is where the documents say, and none costs more than it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import tw_plugins

# The public surface, room by room; others build on it.
SURFACE = {
    "trajectory": "FormatError Trajectory parse render validate",
    "rollout": "Call Completion ControlTokens Engine Limits Rollout fork_join",
    "trie": "TrieRow row_from_ids row_from_rollout row_from_units",
    "attention": "ancestor_block_mask ancestor_mask mask_for",
    "collator": "TrieCollator",
    "latency": "Latency measure",
    "sft": "RowMaker TrieSFTDataset",
    "reward": "RewardSettings compute_score reward",
    "grading": "is_equivalent",
    "advantage": "p_grpo",
}
NAMES = [(room, name) for room, names in SURFACE.items() for name in names.split()]


def in_a_fresh_process(code: str) -> str:
    """What a Python that has imported nothing yet prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_importing_the_package_imports_nothing() -> None:
    code = "import sys; had = set(sys.modules); import tw_plugins; print(*set(sys.modules) - had)"
    assert in_a_fresh_process(code) == "tw_plugins"


def test_a_name_imports_its_room_alone() -> None:
    code = "import sys; from tw_plugins import parse, fork_join; print('torch' in sys.modules)"
    assert in_a_fresh_process(code) == "False"


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_every_public_name_is_in_its_room_and_at_the_top(room: str, name: str) -> None:
    value = getattr(import_module(f"tw_plugins.{room}"), name)
    if name not in SURFACE:
        assert getattr(tw_plugins, name) is value


def test_a_room_wins_over_its_function() -> None:
    code = "import tw_plugins; print(tw_plugins.reward.reward(True, 4, 8))"
    assert in_a_fresh_process(code) == "1.2"
    for room in SURFACE:
        assert isinstance(getattr(tw_plugins, room), ModuleType)


def test_what_is_listed_is_what_there_is() -> None:
    names = {name for _, name in NAMES} - set(SURFACE)
    assert set(tw_plugins.__all__) == names | set(SURFACE)
    assert set(tw_plugins.__all__) <= set(dir(tw_plugins))


def test_type_checkers_read_the_same_names() -> None:
    tree = ast.parse(Path(str(tw_plugins.__file__)).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    read = {(node.module, alias.name) for node in imports for alias in node.names}
    assert read == {(f"tw_plugins.{room}", name) for room, name in NAMES if name not in SURFACE}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        tw_plugins.nonsense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="nonsense"):
        from tw_plugins import nonsense  # type: ignore[attr-defined]  # noqa: F401


def test_the_version_is_the_distributions() -> None:
    assert tw_plugins.__version__ == version("tw-plugins")
