"""What a run's report holds."""

from __future__ import annotations

import copy
from typing import Any


def figures(**changed: Any) -> dict[str, Any]:
    base = {"n": 4, "accuracy": 0.75, "format": 1.0, "token_latency": 100.0, "total_tokens": 150.0}
    return {**base, "activation": {"decomposable": 0.5, "chain": 0.25}, "wall_s_mean": 1.5, **changed}


def spans(*tokens: int | list[int]) -> list[dict[str, Any]]:
    """Sequential segments as numbers, blocks as lists."""
    made: list[dict[str, Any]] = []
    block = 0
    for item in tokens:
        if isinstance(item, list):
            block += 1
            made += [{"block": block, "thread": i, "tokens": n} for i, n in enumerate(item, 1)]
        else:
            made.append({"block": None, "thread": None, "tokens": item})
    return made


def report() -> dict[str, Any]:
    text = "<think>\n<Parallel>\n<Outlines>\n</Outlines>\n<Thread>\n1: a & b\n</Thread>\n</Parallel></think>"
    return copy.deepcopy(
        {
            "framework": "verl",
            "versions": {"verl": "0.9.1", "python": "3.11"},
            "seed": 3,
            "wall_s": 125.4,
            "stages": {"sft": 60.0, "rl": 65.4},
            "sft": {"steps": 2, "curves": {"loss": [2.0, 1.0], "baseline_loss": [[1, 2.5], [2, 1.25]]}},
            "rl": {"steps": 3, "curves": {"reward": [0.5, None, 1.1], "empty": []}},
            "eval": {
                "sft": {"parallel": figures(), "autoregressive": figures()},
                "rl": {"parallel": figures(accuracy=0.95), "autoregressive": figures(wall_s_mean=None)},
                "baseline": {"autoregressive": figures(accuracy=0.96)},
            },
            "speedup": {
                "token_latency": 1.625,
                "token_latency_correct_only": 1.7,
                "token_latency_max": 2.5,
                "wall_clock": None,
            },
            "samples": {
                "speedups": [0.9, 1.5, 1.6, 2.5],
                "trajectory": {
                    "prompt": "2 < 3?",
                    "text": text,
                    "spans": spans(10, [5, 8]),
                    "correct": True,
                    "longest": 18,
                    "total": 23,
                },
                "baseline_longest": 30,
            },
            "settings": {"temperature": 0.0, "rl": {"rho": 0.5}},
        }
    )
