"""Files of trajectories that the tests of `threadweaver view` read, hostile text among them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.records import EvalRecord, Span

EVIL = "</script><img src=x onerror=alert(1)>\u2028<!--<script>&amp;\x00\ud800"
BLOCK = (
    "<Parallel>\n<Outlines>\n<Outline>1: left</Outline>\n<Outline>2: right</Outline>\n</Outlines>\n"
    "<Thread>\n1: one\n</Thread><Thread>\n2: two more\n</Thread>\n</Parallel>"
)
FORKED = f"<think>\na {BLOCK} b</think>\n\\boxed{{3}}"


def record(**changed: Any) -> dict[str, Any]:
    """An evaluation's record of `FORKED` as its file has it."""
    made = EvalRecord(
        index=4,
        kind="decomposable",
        mode="parallel",
        prompt="1 + 2?",
        text=FORKED,
        correct=True,
        well_formed=True,
        total=38,
        longest=30,
        blocks=1,
        threads=2,
        wall_s=1.5,
        limits_hit={},
        spans=(
            Span(None, None, 10, (0.0, 0.5)),
            Span(1, 1, 8, (0.5, 0.8)),
            Span(1, 2, 12, (0.5, 1.0)),
            Span(None, None, 8, (1.0, 1.5)),
        ),
    )
    return {**asdict(made), **changed}


def verl_dump(**changed: Any) -> dict[str, Any]:
    """A line of verl's dump of its rollouts; its V1 trainer adds the key of the row alone."""
    made = {"input": "user\n1 + 2?", "output": "a one two b 3", "gts": "3", "score": 1.1, "step": 7}
    return {**made, "uid": "ab_0_0", **changed}


def write(path: Path, *lines: Any) -> Path:
    """JSON Lines; bytes stand as they are."""
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(encoded))
    return path
