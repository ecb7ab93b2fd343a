"""The settings that make a run of verl one of ThreadWeaver's, under names that need no search path.

    defaults: [ppo_trainer, threadweaver_rl, _self_]           in a YAML; SFT: threadweaver_sft
    python -m verl.trainer.main_ppo … +threadweaver=rl         on the command line; SFT: +threadweaver=sft

Seam: Hydra's `ConfigStore`, which is looked through after every search path. verl loads our plug-in before
its trainers compose anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

GROUP = "threadweaver"
FOLDER = Path(__file__).parent


def register(config_store: Any) -> None:
    """Called by `verl_ext.plugin` once `hydra.core.config_store` is imported."""
    from omegaconf import OmegaConf

    store = config_store.ConfigStore.instance().store
    for path in FOLDER.glob("*.yaml"):
        stage, node = path.stem.removeprefix(f"{GROUP}_"), OmegaConf.load(path)
        store(group=GROUP, name=stage, node=node, package="_global_", provider=__name__)
        store(name=path.stem, node=node, provider=__name__)
