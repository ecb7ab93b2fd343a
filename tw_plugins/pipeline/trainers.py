"""What a framework's adapter knows of training: its own commands, and where these leave what they make.

An adapter declares a `Trainer` as an entry point of the group ``tw_plugins.trainers``, by the name that a
pipeline's file gives as `framework`. Making commands imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from tw_plugins.pipeline.jobs import Job

__all__ = ["GROUP", "Trained", "Trainer", "Training", "trainers"]

GROUP = "tw_plugins.trainers"


@dataclass(frozen=True)
class Training:
    """One training to make a command of.

    Attributes:
        name: for people.
        folder: for all that it leaves.
        recipe: a file of the framework's.
        model, data: folders, files or names of the hub.
        validation: data to validate on meanwhile, of RL.
        steps: updates; None where the recipe says. OpenRLHF's follow from its data.
        settings: in the framework's words, behind all else.
        verifier: of the reward.
        gpus, nodes: None where the recipe says.
        device: cpu or cuda.
        env: variables.
        stall_s: see `Job`.
    """

    name: str
    folder: Path
    recipe: Path
    model: str
    data: str
    validation: str | None = None
    steps: int | None = None
    settings: Sequence[str] = ()
    verifier: str = "math"
    seed: int = 0
    gpus: int | None = None
    nodes: int | None = None
    device: str = "cuda"
    env: Mapping[str, str] = field(default_factory=dict)
    stall_s: float = float("inf")


@dataclass(frozen=True)
class Trained:
    """What a training comes to.

    Attributes:
        jobs: one after the other.
        settings: the first one's words behind the recipe.
        model: the Hugging Face model that they leave.
        metrics: one JSON object per step, see `tw_plugins.pipeline.report_data.read_metrics`.
    """

    jobs: tuple[Job, ...]
    settings: Sequence[str]
    model: Path
    metrics: Path


class Trainer(Protocol):
    """`suffix`: how the framework's recipes end."""

    suffix: str

    def environment(self, device: str) -> Mapping[str, str]:
        """What every process on a device wants in its environment, evaluations too."""

    def files(self, recipe: Path) -> Sequence[Path]:
        """The recipe, and those that it stands on."""

    def sft(self, given: Training) -> Trained:
        """The framework's SFT; a `PipelineError` says what is missing."""

    def rl(self, given: Training) -> Trained:
        """The framework's RL; a `PipelineError` says what is missing."""


def trainers() -> dict[str, Trainer]:
    """Those that are declared, by name."""
    return {one.name: one.load() for one in entry_points(group=GROUP)}
