"""The site's pages: every link between them leads somewhere, and the navigation has them all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.root import ROOT

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "scripts" / "site_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(script: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    script.write(out)
    return out


def test_no_link_leads_nowhere(pages: Path) -> None:
    gone = {
        f"{page.relative_to(pages)}: {link}"
        for page in pages.rglob("*.md")
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    }
    assert not gone


def test_the_navigation_has_every_document(pages: Path) -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = set(re.findall(r"[\w/-]+\.md", str(nav)))
    assert listed == {path.name for path in pages.glob("*.md")} - {"CONTRIBUTING.md"} | {"api/index.md"}


def test_the_reference_has_what_is_public_and_nothing_else(script: Any, pages: Path) -> None:
    text = (pages / "api" / "tw_plugins.rollout.md").read_text(encoding="utf-8")
    assert "::: tw_plugins.rollout.state_machine\n" in text and "- fork_join" in text
    assert "tw_plugins.trajectory.md" in (pages / "api" / "index.md").read_text(encoding="utf-8")
    assert not any(page.stem.endswith((".cli", ".cpu")) for page in (pages / "api").iterdir())
