"""The settings of verifying: part of the reward's and of an evaluation's."""

from __future__ import annotations

from dataclasses import dataclass

from tw_plugins.grading.settings import GradingSettings
from tw_plugins.settings import setting
from tw_plugins.verifiers.names import ALLOWED, MATH, check_name

__all__ = ["VerifierSettings"]


@dataclass(frozen=True)
class VerifierSettings(GradingSettings):
    """Who says whether an answer is right (docs/verifier.md); `GradingSettings` are of `math`."""

    verifier: str = setting(
        MATH, "who says whether an answer is right, see docs/verifier.md", check=check_name, allowed=ALLOWED
    )
    verifier_timeout_s: float = setting(
        60.0, "seconds that a verifier other than math may take for one answer", least=0.1
    )
