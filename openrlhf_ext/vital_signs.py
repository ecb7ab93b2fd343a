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


def warn_of_short_step(rows: int, batch_size: int) -> None:
    """Say that a step has too few rows for an update: the last of an episode, after which prompts ran out.

    Upstream counts on whole ones. Dynamic batches leave such a step out (`ppo_utils/replay_buffer.py:103`,
    OpenRLHF 0.11.2); others leave its gradient, which the next update takes in (`utils/loss_utils.py:102`).
    """
    if short := rows % batch_size:
        logger.warning(
            f"a step of {rows} rows, which are no multiple of --train.batch_size {batch_size}: OpenRLHF "
            f"makes no update of the last {short}. Let the prompts (--data.max_samples) be a multiple of "
            "--rollout.batch_size"
        )


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
