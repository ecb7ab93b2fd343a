"""A finished run's report, in its figures that are judged."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from recipes.quickstart.settings import settings_of

MODES = ("parallel", "autoregressive")


def finished_report(
    seed: int = 0,
    accuracy: float = 1.0,
    sft: float = 1.0,
    baseline: float = 1.0,
    decomposable: float | None = 1.0,
    chain: float | None = 0.0,
    token_latency: float = 1.74,
    wall_clock: float | None = 1.6,
    minutes: float = 10.0,
    fast: bool = False,
) -> dict[str, Any]:
    """Of a model that learned everything, unless said otherwise; accuracies, then what RL's model does."""
    forks = {"decomposable": decomposable, "chain": chain}
    forks = {kind: share for kind, share in forks.items() if share is not None}
    curves = {"accuracy": [0.5, 0.75], "activation": [0.1, 0.9]}
    return {
        "framework": "verl",
        "versions": {},
        "seed": seed,
        "wall_s": 60 * minutes,
        "stages": {"rl": 60 * minutes},
        "sft": {"curves": {}},
        "rl": {"steps": 2, "curves": curves},
        "eval": {
            name: {mode: {**_figures(right), "activation": forks} for mode in MODES}
            for name, right in {"sft": sft, "rl": accuracy, "baseline": baseline}.items()
        },
        "speedup": {
            "token_latency": token_latency,
            "token_latency_correct_only": token_latency,
            "token_latency_max": token_latency,
            "wall_clock": wall_clock,
        },
        "settings": asdict(settings_of(seed, fast)),
    }


def _figures(accuracy: float) -> dict[str, Any]:
    rest = {"n": 600, "format": 1.0, "token_latency": 124.0, "total_tokens": 180.0, "wall_s_mean": 1.0}
    return {"accuracy": accuracy, "reward": 1.1, **rest}
