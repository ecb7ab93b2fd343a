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


SOURCES = [
    *ROOT.glob("tw_plugins/**/*.py"),
    *ROOT.glob("verl_ext/**/*.py"),
    *ROOT.glob("openrlhf_ext/**/*.py"),
]
VARIES = re.compile(
    r"…|'[^']*'|\b[\d.]+\b|~=[\d.]+|\b(?:verl|verl_ext|actor|flash_attention_2|update_weights|prompt|problem)\b"
)
OTHERS = ("Hydra", "flash-attn")


def test_each_message_of_troubleshooting_is_one_of_ours() -> None:
    """Piece by piece, between what differs from case to case."""
    joined = "".join(re.sub(r"\"\s*\n\s*f?\"", "", path.read_text(encoding="utf-8")) for path in SOURCES)
    said = re.findall(
        r"^\| `([^`]+)` \|", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    messages = [one for one in said if not one.startswith(OTHERS) and " " in one]
    assert len(messages) > 8
    pieces = [piece.strip(" ,;:()%") for one in messages for piece in VARIES.split(one)]
    assert [piece for piece in pieces if len(piece) > 5 and piece not in joined] == []


def test_every_metric_is_explained() -> None:
    from tw_plugins.adapter import staleness, vital_signs
    from tw_plugins.reward.score import compute_score

    facts = dict.fromkeys(("longest", "total", "acceleration", "parallel_ratio", "blocks", "threads"), 0)
    facts |= {"text": "", "mode": "parallel", "well_formed": True, "malformed_forks": 0, "limits_hit": 0}
    names = {*compute_score("", "", "7", {"threadweaver": facts}), *vital_signs.group_shares([0.0], [0])}
    names |= {f"staleness/{name}" for name in ("mean", "max", "mixed_versions")} | {
        "verifier_failed",
        "acc_against_start",
    }
    assert staleness.__doc__
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert [
        name for name in sorted(names) if f"`{name}`" not in page and f"threadweaver/{name}`" not in page
    ] == []
