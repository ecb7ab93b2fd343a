"""The watch over an OpenRLHF run (`tw_plugins.adapter.vital_signs`).

Seam: `BasePPOTrainer.train_step` (`openrlhf/trainer/ppo_trainer.py`), which knows the global step and the
step's trajectories, one `Experience` each, the bonus of their groups paid in place (`group_bonus`).
"""

from __future__ import annotations

import logging
from math import isfinite
from pathlib import Path
from typing import Any

from openrlhf_ext.scores import groups_of, scores_of
from openrlhf_ext.settings import METRICS, RLSettings
from tw_plugins.adapter.vital_signs import VitalSigns

logger = logging.getLogger("openrlhf.threadweaver")
"""Below upstream's, whose handler vLLM's imports leave alone (`openrlhf/utils/logging_utils.py`)."""


def vital_signs_of(args: Any) -> VitalSigns:
    """Keeps the start in `--ckpt.path`, above the folders that upstream prunes (`save_ckpt`: `_actor/*`).

    Args:
        args: upstream's, in whose trainer "never" is infinity: a run that neither saves nor evaluates (and
            so saves no best model) has no checkpoints to go on from.
    """
    keeps_checkpoints = isfinite(min(args.ckpt.save_steps, args.eval.steps))
    folder = Path(args.ckpt.path) if keeps_checkpoints else None
    return VitalSigns(RLSettings.from_environment().mode, folder, logger)


def metrics_of_step(
    signs: VitalSigns, step: int, samples: list[Any], samples_per_prompt: int
) -> dict[str, float]:
    """The figures by the names they have on verl.

    Args:
        step: the global step, the first is 1.
        samples: one `Experience` per trajectory, those of a prompt one after the other.
    """
    found = signs.of_step(step, list(map(scores_of, samples)), groups_of(samples, samples_per_prompt))
    return {f"{METRICS}/{name}": value for name, value in found.items()}
