"""The watch over a verl run (`tw_plugins.vital_signs`), by the run's config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tw_plugins.vital_signs import VitalSigns
from verl_ext.settings import settings_from


def vital_signs_of(config: Any) -> VitalSigns:
    """Keeps the start beside the run's checkpoints; without `trainer.save_freq` there are none to go on from.

    Args:
        config: verl's whole config.
    """
    trainer = config.trainer
    keeps_checkpoints = trainer.save_freq > 0 and trainer.default_local_dir
    folder = Path(trainer.default_local_dir) if keeps_checkpoints else None
    return VitalSigns(settings_from(config).mode, folder)
