"""The paper's own figures for Qwen3-8B, to stand beside those of an evaluation (Table 1)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAPER", "PaperFigures"]


@dataclass(frozen=True)
class PaperFigures:
    """One benchmark.

    Attributes:
        accuracy, baseline_accuracy: of ThreadWeaver and of sequential RL, shares in 0..1.
        token_latency, baseline_token_latency: tokens.
        speedup: mean over problems.
    """

    accuracy: float
    baseline_accuracy: float
    token_latency: float
    baseline_token_latency: float
    speedup: float


PAPER = {
    "aime24": PaperFigures(0.799, 0.783, 16_900, 19_400, 1.14),
    "aime25": PaperFigures(0.605, 0.616, 24_000, 24_600, 1.03),
    "amc23": PaperFigures(0.923, 0.926, 12_000, 13_800, 1.16),
    "math500": PaperFigures(0.914, 0.918, 6_400, 7_200, 1.23),
    "minerva_math": PaperFigures(0.437, 0.439, 7_300, 10_600, 1.53),
    "olympiadbench": PaperFigures(0.635, 0.650, 12_800, 15_200, 1.21),
}
