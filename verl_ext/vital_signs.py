"""The watch over a verl run (`tw_plugins.adapter.vital_signs`), by the run's config."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tw_plugins.adapter.vital_signs import VitalSigns
from verl_ext.settings import settings_from

# The root logger says nothing below ERROR once vLLM's server is imported (by `configure_root_logger` of its
# model_hosting_container_standards); verl keeps its own out of that (`configure_verl_logging`).
logger = logging.getLogger("verl.threadweaver")


def vital_signs_of(config: Any) -> VitalSigns:
    """Keeps the start beside the run's checkpoints; without `trainer.save_freq` there are none to go on from.

    Args:
        config: verl's whole config.
    """
    trainer = config.trainer
    keeps_checkpoints = trainer.save_freq > 0 and trainer.default_local_dir
    folder = Path(trainer.default_local_dir) if keeps_checkpoints else None
    return VitalSigns(settings_from(config).mode, folder, logger)
