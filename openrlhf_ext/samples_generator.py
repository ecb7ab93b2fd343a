"""Both pieces around `SamplesGenerator`: rows into `Experience`, an error for an engine that died."""

from __future__ import annotations

from typing import Any

from openrlhf_ext import experience, watch


def register(samples_generator: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.samples_generator` is imported."""
    experience.register(samples_generator)
    watch.register(samples_generator)
