"""What the reward function returned for a trajectory, in OpenRLHF's `Experience`."""

from __future__ import annotations

from typing import Any

from openrlhf_ext.settings import METRICS


def scores_of(sample: Any) -> dict[str, float]:
    """The values that the executor logged for one trajectory; empty where the executor is not ours."""
    return {
        name.removeprefix(f"{METRICS}/").removesuffix("/mean"): float(value)
        for name, value in sample.info.items()
        if name.startswith(f"{METRICS}/")
    }


def groups_of(samples: list[Any], samples_per_prompt: int) -> list[int]:
    """A number for each sample's prompt: the samples of a prompt stand one after the other."""
    return [number // samples_per_prompt for number in range(len(samples))]
