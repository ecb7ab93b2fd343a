"""The settings of the reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tw_plugins.settings import SettingsError, setting
from tw_plugins.verifiers.settings import VerifierSettings

Acceleration = Literal["eta", "critical_path", "none"]


@dataclass(frozen=True)
class RewardSettings(VerifierSettings):
    """Constants of the reward; the defaults are the paper's (P10).

    `acceleration` says what the bonus pays for. "eta" is the paper's η; "critical_path" what a fork saves
    against the other trajectories of its group, added with the advantages (`reward.critical_path`); "none" is
    for the sequential baseline, which must not be paid for tags it decodes serially. In any case only
    trajectories rolled out in parallel mode are paid.

    Raises:
        SettingsError: also a wrong answer that pays like a right one.
    """

    rho: float = setting(0.5, "weight ρ of the acceleration ratio in the reward", least=0)
    rho_clip: float = setting(0.2, "largest acceleration bonus", least=0)
    wrong: float = setting(0.0, "reward of a wrong or missing answer; wrong + format_weight must be below 1")
    format_weight: float = setting(0.0, "added to every well-formed trajectory, right or wrong", least=0)
    acceleration: Acceleration = setting(  # noqa: RUF009 (it is a field)
        "eta",
        "what the bonus pays for: eta (the paper's), critical_path (what a fork saves against its group), "
        "none (the sequential baseline)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wrong + self.format_weight >= 1:
            raise SettingsError(
                f"{self.PREFIX}wrong={self.wrong}: wrong + format_weight must be below 1, or a wrong answer "
                "earns what a right one does"
            )
