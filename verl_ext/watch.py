"""A trainer that never waits for ever: what dies, hangs or fails ends in one error, or is counted.

verl's V1 trainer has no deadline where it waits for others (verl 0.9.1):

    where it waits                                            what is done here
    ────────────────────────────────────────────────────────  ──────────────────────────────────────────────
    `checkpoint_manager.*`, weights to vLLM and its sleep     a deadline, `engine_timeout_s`
    there and `ReplayBuffer._wait_for_next_poll`, until       servers, their engines, agent loops and ranks
    prompts end                                               are looked at: one that died ends the run
    `fit`, on a rank, where Ray's error names an actor's id   the error names the rank or server
    refill of failed groups (asynchronous modes), for ever    at most `FAILED_BATCHES` batches of them a step
    trajectories of a group that failed                       counted: `threadweaver/failed_trajectories`
    … in validation, where verl gives them `acc` 0            counted too; where all failed, an error

Seams: `PPOTrainer._setup`, `fit`, `_build_replay_buffer` (`verl/trainer/ppo/v1/trainer_base.py`) and the two
methods of its replay buffer (`verl/trainer/ppo/v1/replay_buffer.py`); `_val_metrics_update`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import httpx
from ray.exceptions import RayError

from tw_plugins.adapter.alive import dead
from tw_plugins.adapter.bounded import bounded
from tw_plugins.rollout import EngineError
from verl_ext.settings import PASTED, settings_from

FAILED_BATCHES = 4
FAILED_IN_VALIDATION = "val-aux/threadweaver/failed_trajectories"
LOOK_EVERY_S = 10.0
POLL_S = 0.5
"""Pause between questions whether a step's prompts have ended; verl's 2 s are long in a short step."""
AGAIN = "See its log; run the same command again to go on from the last checkpoint (trainer.save_freq)"


class Bounded:
    """verl's `CheckpointEngineManager`, each of whose calls ends within the deadline."""

    def __init__(self, manager: Any, seconds: float, look: Callable[[], None] = lambda: None) -> None:
        self._manager, self._seconds, self._look = manager, seconds, look

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._manager, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: bounded(
            self._seconds,
            name,
            lambda: found(*args, **kwargs),
            late=f"{name} has not ended within {self._seconds:g} s ({PASTED}.engine_timeout_s): the engine "
            f"hangs, or refused and did not say so. {AGAIN}.",
            died=lambda why: f"{name}: a process of the run died ({why}). {AGAIN}.",
            look=self._look,
            every_s=LOOK_EVERY_S,
        )


def check_alive(actors: Mapping[str, Any]) -> None:
    """
    Args:
        actors: Ray actors by what a user calls them.

    Raises:
        EngineError: one has died. One that is only busy is left alone.
    """
    for name, why in dead({name: actor.__ray_ready__.remote() for name, actor in actors.items()}).items():
        raise EngineError(f"{name} died ({why}). {AGAIN}.")


def check_engines(addresses: Iterable[str]) -> None:
    """Ask vLLM's servers, which outlive their engines, for their health.

    Args:
        addresses: host and port of each.

    Raises:
        EngineError: an engine has died. A server that is busy, or cannot be reached, is left alone.
    """
    for number, address in enumerate(addresses):
        with suppress(httpx.TransportError):
            if httpx.get(f"http://{address}/health", timeout=5, trust_env=False).status_code == 503:
                raise EngineError(f"the engine of vLLM server {number} died. {AGAIN}.")


def watch(buffer: Any, look: Callable[[], None], batch_size: int) -> None:
    """Let a replay buffer `look` while it waits, and give up when all groups fail."""
    wait, evict = buffer._wait_for_next_poll, buffer._evict_terminal_groups
    looked = time.monotonic()
    failed: dict[int, int] = {}

    def wait_and_look(*args: Any) -> Any:
        nonlocal looked
        if time.monotonic() - looked > LOOK_EVERY_S:
            look()
            looked = time.monotonic()
        return wait(*args)

    def evict_and_count(global_steps: int, partition_id: str, reasons: Any) -> Any:
        failed[global_steps] = failed.get(global_steps, 0) + len(reasons[2])
        if failed[global_steps] > FAILED_BATCHES * batch_size:
            raise EngineError(
                f"{failed[global_steps]} groups of step {global_steps} failed, more than {FAILED_BATCHES} "
                f"batches: mend what the log of AgentLoopWorkerTQ has above. {AGAIN}"
            )
        return evict(global_steps, partition_id, reasons)

    buffer._wait_for_next_poll, buffer._evict_terminal_groups = wait_and_look, evict_and_count


class WatchedTrainer:
    """Mix-in for a V1 trainer."""

    config: Any
    actor_rollout_wg: Any
    checkpoint_manager: Any
    agent_loop_manager: Any = None

    def _setup(self) -> None:
        super()._setup()  # type: ignore[misc]
        seconds = settings_from(self.config).engine_timeout_s
        for name in ("checkpoint_manager", "standalone_checkpoint_manager"):  # the second of `separate_async`
            if hasattr(self, name):
                setattr(self, name, Bounded(getattr(self, name), seconds, self._look))

    def fit(self, agent_loop_manager: Any) -> None:
        """A rank that outlives another fails in their next collective, and its error may come first."""
        try:
            super().fit(agent_loop_manager)  # type: ignore[misc]
        except RayError:
            check_alive(self._others())
            raise

    def _build_replay_buffer(self) -> Any:
        buffer = super()._build_replay_buffer()  # type: ignore[misc]
        buffer.poll_interval = POLL_S
        watch(buffer, self._look, self.config.data.train_batch_size)
        return buffer

    def _val_metrics_update(
        self,
        data_sources: Any,
        sample_uids: list[str],
        *args: Any,
        expected_acc_counts: Any = None,
        **kwargs: Any,
    ) -> dict[str, float]:
        asked = sum((expected_acc_counts or {}).values())
        if asked and not sample_uids:
            raise EngineError(f"all {asked} trajectories of the validation failed. {AGAIN}")
        metrics: dict[str, float] = super()._val_metrics_update(  # type: ignore[misc]
            data_sources, sample_uids, *args, expected_acc_counts=expected_acc_counts, **kwargs
        )
        return {**metrics, FAILED_IN_VALIDATION: float(max(asked - len(sample_uids), 0))}

    def _look(self) -> None:
        check_alive(self._others())
        check_engines(self._of_servers("server_addresses"))

    def _of_servers(self, name: str) -> list[Any]:
        managers = self._rollout_server_managers()  # type: ignore[attr-defined]
        return [each for manager in managers for each in getattr(manager, name)]

    def _others(self) -> dict[str, Any]:
        kinds = {
            "rank {} of the actor": self.actor_rollout_wg.workers,
            "vLLM server {}": self._of_servers("server_handles"),
            "agent loop worker {}": getattr(self.agent_loop_manager, "agent_loop_workers", ()),
        }
        return {name.format(n): actor for name, actors in kinds.items() for n, actor in enumerate(actors)}
