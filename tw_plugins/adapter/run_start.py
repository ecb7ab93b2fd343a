"""What a run began with: accuracy and forks of its first step, kept beside its checkpoints.

A run that goes on from a checkpoint is compared with the model that RL began with, which it no longer has.
`threadweaver_start.json` lies in the folder that holds the checkpoints, as a file: what prunes old
checkpoints (verl its `global_step_*`, OpenRLHF the folders in `_actor`) passes it by.

Nothing here ends a training: a file that cannot be written or read costs the comparison, and a line says so.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from logging import Logger
from pathlib import Path

from tw_plugins.settings import Settings
from tw_plugins.storage.atomic import write_text

__all__ = ["FILE", "StepMeans", "read_start", "write_start"]

FILE = "threadweaver_start.json"


@dataclass(frozen=True)
class StepMeans(Settings):
    """Means over the trajectories of one step.

    Args:
        step: the framework's global step, the first is 1.
        acc: share with the right answer.
        activation: share that forked.

    Raises:
        SettingsError: a value of another type, or not finite.
    """

    step: int
    acc: float
    activation: float


def read_start(folder: Path, log: Logger) -> StepMeans | None:
    """The step that the run began with; None where there is no file, or none that can be read."""
    path = folder / FILE
    try:
        return StepMeans(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError) as error:
        log.warning("%s cannot be read (%s): it is passed over, and written anew", path, error)
        return None


def write_start(folder: Path, start: StepMeans, log: Logger) -> None:
    """Keep it for the day the run goes on."""
    try:
        write_text(folder / FILE, json.dumps(asdict(start)) + "\n")
    except OSError as error:
        log.warning(
            "%s cannot be written (%s): after a resume this run will be compared with the step it resumed at",
            folder / FILE, error,
        )  # fmt: skip
