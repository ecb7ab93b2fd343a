"""Where the time of an RL step goes, from the metrics file of a run that either framework has made.

Seams: `marked_timer` in `verl/trainer/ppo/v1/trainer_base.py` (logged as ``timing_s/…``), ``timing/…`` in
`openrlhf/trainer/ppo_trainer.py`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tw_plugins.errors import UserError
from tw_plugins.storage.files import FileError, read_text

__all__ = ["REST", "StepError", "StepFigures", "bench_step"]

REST = "the rest"  # waiting, checkpoints, metrics
PHASES: dict[str, dict[str, tuple[str, ...]]] = {
    "verl": {
        "rollout": ("timing_s/gen",),
        "log-probs": ("timing_s/reward", "timing_s/old_log_prob", "timing_s/ref", "timing_s/adv"),
        "update": ("timing_s/update_actor", "timing_s/update_critic"),
        "weight sync": ("timing_s/update_weights",),
    },
    "openrlhf": {
        "rollout": ("timing/generation",),
        "log-probs": ("timing/make_experience",),
        "update": ("timing/ppo_train",),
        "weight sync": ("timing/broadcast",),
    },
}
WHOLE = {"verl": "timing_s/step", "openrlhf": "timing/step_total"}


class StepError(UserError, ValueError):
    """A metrics file that cannot be used; the message names it, the reason and what writes such a file."""


@dataclass(frozen=True)
class StepFigures:
    """One run.

    Attributes:
        run: its metrics file.
        framework: "verl" or "openrlhf".
        steps: that were looked at: all but the first, whose engines warm up, if there are more.
        total: median seconds of a step.
        phases: median seconds of each phase; "log-probs" has rewards and advantages in it.
    """

    run: str
    framework: str
    steps: int
    total: float
    phases: dict[str, float]


def bench_step(metrics: Path) -> StepFigures:
    """Read one run.

    Raises:
        OSError, FileError: something that is no file, or no text.
        StepError: no file, no JSON, or no step with timings in it.
    """
    steps = _steps(metrics)
    framework = next((name for name, key in WHOLE.items() if steps and key in steps[0]), None)
    if framework is None:
        raise StepError(
            f"{metrics} has no timings of RL steps: give the file of verl's `file` logger "
            "(trainer.logger=[file]) or of --tw.metrics_file"
        )
    steps = steps[1:] or steps
    seconds = [_phases(step, framework) for step in steps]
    return StepFigures(
        run=str(metrics),
        framework=framework,
        steps=len(steps),
        total=statistics.median(step[WHOLE[framework]] for step in steps),
        phases={phase: statistics.median(each[phase] for each in seconds) for phase in seconds[0]},
    )


def _steps(metrics: Path) -> list[dict[str, float]]:
    """The metrics of each line that has the time of a whole step."""
    try:
        lines = [json.loads(line)["data"] for line in read_text(metrics).splitlines()]
    except FileError:
        raise
    except FileNotFoundError as error:
        raise StepError(
            f"{metrics} cannot be read: {error.strerror}. Give the run's metrics file."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StepError(
            f"{metrics} is not a metrics file: it must have one JSON object with `data` per line"
        ) from error
    return [line for line in lines if any(key in line for key in WHOLE.values())]


def _phases(step: Mapping[str, float], framework: str) -> dict[str, float]:
    found = {phase: sum(step.get(key, 0.0) for key in keys) for phase, keys in PHASES[framework].items()}
    return {**found, REST: step[WHOLE[framework]] - sum(found.values())}
