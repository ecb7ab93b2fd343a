"""SFT on trie rows is refused where its settings or its versions would lose the mask.

Seam: `auto_set_device` (`verl/utils/device.py`), the first thing that both of verl's SFT commands do with
their config; they have no `validate_config`. Runs on other data sets pass through untouched.
"""

from __future__ import annotations

import logging
from functools import wraps
from pathlib import Path
from typing import Any

from tw_plugins.errors import in_one_line
from verl_ext import metrics_file
from verl_ext.seams import SUPPORTED

logger = logging.getLogger(__name__)

DATASET = "TrieSFTDataset"


def trains_trie_rows(config: Any) -> bool:
    """Whether a config is of SFT, and its rows are ours."""
    return "actor_rollout_ref" not in config and (config.data.get("custom_cls") or {}).get("name") == DATASET


def check(config: Any) -> None:
    """
    Args:
        config: verl's whole config of SFT.

    Raises:
        UnsupportedVersion: an installed version that verl_ext was not checked against.
        SettingsError: everything that is wrong, a line each.
        PlanError: the GPU that is here has too little memory.
    """
    SUPPORTED.check()
    # Here, or each of verl's processes would import them.
    from transformers import AutoTokenizer

    from tw_plugins.adapter.vocabulary import warn_of_ends
    from tw_plugins.planning.here import check_memory
    from tw_plugins.planning.sizes import config_of
    from tw_plugins.settings import SettingsError
    from verl_ext.engine_settings import EngineKeys, engine_problems, settle_attention, split_problems
    from verl_ext.planner import job_of_config
    from verl_ext.verl_settings import ulysses_of

    engine = config.engine
    ulysses = ulysses_of(config)
    keys = EngineKeys("engine=fsdp engine.strategy", "+model", "engine.ulysses_sequence_parallel_size")
    if found := list(engine_problems(engine.strategy, config.model, ulysses, keys)):
        raise SettingsError("\n".join(found))
    settle_attention(config.model)
    if Path(config.model.path, "config.json").is_file():
        model_config = config_of(config.model.path)
        if found := list(split_problems(model_config, ulysses, keys)):
            raise SettingsError("\n".join(found))
        for warning in check_memory(job_of_config(config, "this run"), model_config):
            logger.warning(warning)
        remote = config.model.get("trust_remote_code", False)
        tokenizer = AutoTokenizer.from_pretrained(config.model.path, trust_remote_code=remote)
        tokenizer.chat_template = config.model.get("custom_chat_template") or tokenizer.chat_template
        warn_of_ends(tokenizer)


def register(verl_device: Any) -> None:
    """Called by `verl_ext.plugin` once `verl.utils.device` is imported."""
    auto_set_device = verl_device.auto_set_device

    @wraps(auto_set_device)
    def checked(config: Any) -> None:
        auto_set_device(config)  # with the device's own check: the platform is fixed
        if trains_trie_rows(config):
            with in_one_line():
                check(config)
            metrics_file.go_on()

    verl_device.auto_set_device = checked
