"""What dies, hangs or fails beside verl's trainer; whole runs are in `test_rl_loop.py`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, RayTaskError

from tests.support.listening import listening
from tests.support.messages import assert_message
from tests.support.verl.configs import rl_config
from tw_plugins.rollout import EngineError
from tw_plugins.trie.promise import UnmaskedRows
from verl_ext import engine_guard, watch
from verl_ext.server_engine import ServerEngine

WITHOUT_PLUG_IN = {"VERL_USE_EXTERNAL_PLUGINS": "none", "VERL_PLATFORM": ""}  # it brings the platform cpu


@ray.remote
class Server:
    def pid(self) -> int:
        import os

        return os.getpid()


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Any]]:
    """Two actors, the second of which was killed."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    alive, dead = Server.remote(), Server.remote()
    ray.get([alive.pid.remote(), dead.pid.remote()])
    ray.kill(dead)
    yield {"vLLM server 0": alive, "vLLM server 1": dead}
    ray.shutdown()


def test_a_dead_server_is_named(servers: dict[str, Any]) -> None:
    with pytest.raises(EngineError) as caught:
        watch.check_alive(servers)
    assert_message(caught.value, r"vLLM server 1 died \(.+\)\. See its log")
    watch.check_alive({"vLLM server 0": servers["vLLM server 0"]})
    watch.check_alive({})


def test_a_worker_that_has_not_loaded_the_plug_in_is_found(servers: dict[str, Any]) -> None:
    """verl says nothing where a plug-in does not load; its engines there would mask no branches."""
    alive = servers["vLLM server 0"]
    without = Server.options(runtime_env={"env_vars": WITHOUT_PLUG_IN}).remote()
    engine_guard.check_workers([alive])
    with pytest.raises(UnmaskedRows, match="1 of 2 workers would train rows with branches as if"):
        engine_guard.check_workers([alive, without])


def test_calls_end_within_the_deadline(servers: dict[str, Any]) -> None:
    hanging = threading.Event()
    manager = SimpleNamespace(
        backend="naive",
        update_weights=lambda step: step + 1,
        sleep_replicas=lambda: hanging.wait(),
        wake_up_replicas=lambda: ray.get(servers["vLLM server 1"].pid.remote()),
        abort_replicas=lambda: {}["no"],
    )
    bounded = watch.Bounded(manager, 0.2)
    assert bounded.backend == "naive"
    assert bounded.update_weights(1) == 2
    with pytest.raises(EngineError, match=r"sleep_replicas has not ended within 0\.2 s"):
        bounded.sleep_replicas()
    hanging.set()
    with pytest.raises(KeyError):
        bounded.abort_replicas()
    with pytest.raises(EngineError, match="wake_up_replicas: a process of the run died"):
        watch.Bounded(manager, 30).wake_up_replicas()


def test_a_server_that_outlives_its_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the hand-over of weights too, which would wait for a dead engine until its deadline."""
    hanging = threading.Event()
    with server(200) as well, server(503) as dead:
        watch.check_engines([well, "127.0.0.1:9"])  # nobody listens there
        monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.1)
        manager = SimpleNamespace(update_weights=hanging.wait)
        bounded = watch.Bounded(manager, 60, lambda: watch.check_engines([well, dead]))
        with pytest.raises(EngineError) as caught:
            bounded.update_weights()
    hanging.set()
    assert_message(caught.value, r"the engine of vLLM server 1 died\. See its log")


@contextmanager
def server(status: int) -> Iterator[str]:
    """Address of a server whose /health has this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as running:
        yield f"127.0.0.1:{running.server_port}"


class Buffer:
    """The two methods of verl's replay buffer."""

    def _wait_for_next_poll(self, partition_id: str, last: float) -> float:
        return last + 1

    def _evict_terminal_groups(self, global_steps: int, partition_id: str, reasons: Any) -> str:
        return "evicted"


def test_while_prompts_run_their_processes_are_looked_at(
    servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = Buffer()
    watch.watch(buffer, lambda: watch.check_alive(servers), 4)
    assert buffer._wait_for_next_poll("train", 1.0) == 2.0  # not so often
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.0)
    with pytest.raises(EngineError, match="vLLM server 1 died"):
        buffer._wait_for_next_poll("train", 1.0)


def test_groups_are_not_refilled_for_ever() -> None:
    buffer = Buffer()
    watch.watch(buffer, lambda: None, 4)

    def fail(step: int, groups: int) -> str:
        return buffer._evict_terminal_groups(step, "train", (set(), set(), set(range(groups)), {}))

    assert fail(1, 8) == fail(1, 8) == fail(2, 16) == "evicted"
    with pytest.raises(EngineError, match=r"17 groups of step 2 failed, more than 4 batches"):
        fail(2, 1)


def test_failed_trajectories_of_a_validation_are_counted() -> None:
    class Upstream:
        def _val_metrics_update(self, *args: Any, expected_acc_counts: Any) -> dict[str, float]:
            return {"val-core/acc": 0.5}

    class Trainer(watch.WatchedTrainer, Upstream):
        pass

    expected = {("digits", "a"): 2, ("digits", "b"): 2}
    found = Trainer()._val_metrics_update([], ["a", "a", "b"], {}, [], expected_acc_counts=expected)
    assert found == {"val-core/acc": 0.5, watch.FAILED_IN_VALIDATION: 1.0}
    with pytest.raises(EngineError, match="all 4 trajectories of the validation failed"):
        Trainer()._val_metrics_update([], [], {}, [], expected_acc_counts=expected)


class Servers:
    server_addresses: tuple[str, ...] = ()

    def __init__(self, handles: list[Any]) -> None:
        self.server_handles = handles


class Upstream:
    """A trainer with two pools of servers, whose second rank has died in a collective."""

    def __init__(self, alive: Any, dead: Any, error: Exception) -> None:
        self.config = rl_config({"model": Path(), "rl": Path(), "eval": Path()})
        self.actor_rollout_wg = SimpleNamespace(workers=[alive, dead])
        self.pools, self.error = [Servers([alive]), Servers([alive])], error
        self.agent_loop_manager = SimpleNamespace(agent_loop_workers=[alive])

    def _setup(self) -> None:
        self.checkpoint_manager = SimpleNamespace(update_weights=lambda: 1)
        self.standalone_checkpoint_manager = SimpleNamespace(update_weights=lambda: 2)

    def _rollout_server_managers(self) -> list[Servers]:
        return self.pools

    def fit(self, agent_loop_manager: Any) -> None:
        raise self.error


class Trainer(watch.WatchedTrainer, Upstream):
    pass


def test_a_dead_rank_is_named_by_whatever_error_comes_first(servers: dict[str, Any]) -> None:
    """The survivor's, here: in a collective it sees no more than a closed connection."""
    alive, dead = servers.values()
    survivor = RayTaskError("update_actor", "Connection closed by peer", RuntimeError("Connection closed"))
    with pytest.raises(EngineError) as caught:
        Trainer(alive, dead, survivor).fit(None)
    assert_message(caught.value, r"rank 1 of the actor died \(.+\)\. See its log; run the same command again")
    with pytest.raises(RayTaskError):
        Trainer(alive, alive, survivor).fit(None)
    with pytest.raises(EngineError, match="vLLM server 1 died"):
        trainer = Trainer(alive, alive, survivor)
        trainer.pools[1].server_handles = [dead]
        trainer.fit(None)


def test_both_hand_overs_of_weights_have_a_deadline(servers: dict[str, Any]) -> None:
    alive, dead = servers.values()
    trainer = Trainer(alive, dead, ValueError())
    trainer._setup()
    managers = (trainer.checkpoint_manager, trainer.standalone_checkpoint_manager)
    assert [type(manager) for manager in managers] == [watch.Bounded, watch.Bounded]
    assert [manager.update_weights() for manager in managers] == [1, 2]


def test_a_request_to_a_dead_server_says_so() -> None:
    class Client:
        async def generate(self, **how: Any) -> Any:
            raise ActorDiedError

    engine = ServerEngine(Client(), {})
    with pytest.raises(EngineError, match=r"died or failed on a request of trajectory t \(ActorDiedError\)"):
        asyncio.run(engine.generate([1], stop_token_ids=[2], max_tokens=3, request_id="t"))
