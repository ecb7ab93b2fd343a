"""The settings of grading: part of the reward's and of an evaluation's."""

from __future__ import annotations

from dataclasses import dataclass

from tw_plugins.settings import Settings, setting

__all__ = ["GradingSettings"]


@dataclass(frozen=True)
class GradingSettings(Settings):
    """What counts as a final answer, and how near a decimal must be (docs/grading.md)."""

    tolerance: float = setting(
        0.0,
        "relative difference up to which an answer is right where a side has decimals; 0: exact, or a number "
        "without a finite decimal rounded to seven digits or more",
        least=0,
        most=0.1,
    )
    answer_line: bool = setting(
        False, "a last line `Answer: …` counts as the final answer too, for prompts that ask for one"
    )
