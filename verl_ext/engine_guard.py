"""A row with branches that comes to an engine which would not mask it ends the run, before any update.

Seams: `BaseEngine.train_batch` and `infer_batch` (`verl/workers/engine/base.py`), which every engine has from
there: FSDP, Megatron, VeOmni, torchtitan and automodel, on every device. `TrieEngine` alone knows branches.
They are in place with any version of verl, in every process that loads the plug-in. That Ray's workers do is
asked of them before the first step, since verl says nothing where a plug-in fails to load: in RL at the end
of `PPOTrainer._setup` (`verl_ext.trainer`), in SFT on Ray at the end of `RayWorkerGroup.__init__`
(`verl/single_controller/ray/base.py`), the trainer itself being a `__main__`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

from tw_plugins.adapter.seams import wrapped_by
from tw_plugins.attention import has_branches
from tw_plugins.trie.promise import UnmaskedRows, mask_demanded
from verl_ext.row_positions import with_branch_positions

GUARDED = ("train_batch", "infer_batch")


def check(engine: Any, data: Any) -> None:
    """
    Args:
        engine: of verl's; those that mask branches say so by `masks_branches`.
        data: a batch, its `position_ids` jagged or (B, N).

    Raises:
        UnmaskedRows: it has branches, and the engine does not mask them.
    """
    if getattr(engine, "masks_branches", False) or "position_ids" not in data:
        return
    positions = with_branch_positions(data)["position_ids"]
    if positions.dim() == 2 and has_branches(positions.values() if positions.is_nested else positions):
        raise UnmaskedRows(
            f"verl's {type(engine).__name__} would train rows with branches as if they were plain text: use "
            "its engine fsdp or fsdp2 on CUDA, ROCm or the CPU; `threadweaver doctor` says what is in place"
        )


def is_guarded(_: Any = None) -> bool:
    """Whether this process would see such a row; asked of Ray's workers."""
    from verl.workers.engine import base

    return all(wrapped_by(__name__, f"BaseEngine.{name}")(base) for name in GUARDED)


def check_workers(workers: Sequence[Any]) -> None:
    """
    Args:
        workers: actor handles of a worker group.

    Raises:
        UnmaskedRows: the plug-in is not loaded in one of them.
    """
    import ray

    guarded = ray.get([worker.__ray_call__.remote(is_guarded) for worker in workers])
    if not all(guarded):
        raise UnmaskedRows(
            f"{guarded.count(False)} of {len(workers)} workers would train rows with branches as if they "
            "were plain text, since ThreadWeaver's plug-in is not loaded there: install tw-plugins on every "
            "node and leave VERL_USE_EXTERNAL_PLUGINS unset; `threadweaver doctor` there says what is wrong"
        )


def register(base: Any) -> None:
    """Called by `verl_ext.plugin` once `verl.workers.engine.base` is imported."""
    for name in GUARDED:
        setattr(base.BaseEngine, name, _guarded(getattr(base.BaseEngine, name)))


def register_workers(ray_base: Any) -> None:
    """Called by `verl_ext.plugin` once `verl.single_controller.ray.base` is imported."""
    init = ray_base.RayWorkerGroup.__init__

    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if mask_demanded():
            check_workers(self.workers)

    ray_base.RayWorkerGroup.__init__ = checked


def _guarded(method: Any) -> Any:
    @wraps(method)
    def guarded(self: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        check(self, data)
        return method(self, data, *args, **kwargs)

    return guarded
