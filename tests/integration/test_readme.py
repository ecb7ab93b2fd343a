"""Everything in README that can be pasted is run, or held by the test that is named here.

Its YAML: `tests/unit/verl_ext/test_config.py`. OpenRLHF's line: `tests/unit/openrlhf_ext/test_recipes.py`.
Its curl: `tests/integration/serve/test_real_vllm.py`. `make quickstart`, of fewer steps:
`tests/runs/quickstart`. `threadweaver doctor`: `tests/integration/verl_ext/test_doctor.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.pasted import commands
from tests.support.root import ROOT
from tests.support.tiny import save_tiny
from tests.support.tokenizers import tokenizer

README = ROOT / "README.md"
PASTED = [words for words in commands(README) if words[0] not in ("python", "curl")]
CLI = [sys.executable, "-m", "tw_plugins.cli"]


def test_nothing_pasted_is_without_a_test() -> None:
    firsts = [words[0] for words in commands(README)]
    assert sorted(set(firsts)) == ["curl", "make", "pip", "python", "threadweaver"]
    assert firsts.count("curl") == firsts.count("python") == 1


@pytest.mark.parametrize("words", [words for words in PASTED if words[0] == "make"], ids=" ".join)
def test_make_knows_it(words: list[str]) -> None:
    assert subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True).returncode == 0


@pytest.mark.parametrize("words", [words for words in PASTED if words[0] == "pip"], ids=" ".join)
def test_pip_finds_the_extra(words: list[str]) -> None:
    """What it installs is built and looked into by `test_wheel.py`."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    extra = re.fullmatch(r"\.\[(\w+)\]", words[-1])
    assert words[1] == "install" and extra is not None and extra[1] in declared


def test_serve_is_asked_with_options_that_it_has() -> None:
    (words,) = [words for words in PASTED if words[:2] == ["threadweaver", "serve"]]
    shown = subprocess.run([*CLI, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in shown for word in words if word.startswith("--"))


def test_tags_are_added_as_it_says(tmp_path: Path) -> None:
    (line,) = re.findall(r"`(threadweaver data add-tokens .*?)`", README.read_text(encoding="utf-8"))
    model, out = save_tiny(tmp_path / "plain", tokenizer()), tmp_path / "threads"
    given = line.replace("Qwen/Qwen3-8B", str(model)).replace("qwen3-8b-threads", str(out)).split()
    done = subprocess.run([*CLI, *given[1:]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (out / "tokenizer.json").is_file()
