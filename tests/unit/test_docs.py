"""What the documents name is there: tests, files of the packages, links between documents."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.root import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/**/*.md")])
NAMED = re.compile(r"`((?:tests|tw_plugins|verl_ext|openrlhf_ext|recipes|scripts|docs)/[\w./-]+)`")
TEST = re.compile(r"`(test_\w+\.py)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def files() -> set[str]:
    return set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split("\n"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_is_there(document: Path, files: set[str]) -> None:
    text = document.read_text(encoding="utf-8")
    names = {Path(file).name for file in files}
    folders = {str(parent) for file in files for parent in Path(file).parents}
    gone = [name for name in NAMED.findall(text) if name.rstrip("/") not in files | folders]
    gone += [name for name in TEST.findall(text) if name not in names]
    gone += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not gone
