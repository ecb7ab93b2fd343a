"""Several vLLM engines as Ray actors, on the cluster that RAY_ADDRESS names or on this machine.

A replica takes `tensor_parallel_size` GPUs of one node, and CPUs where the cluster has no GPU. The model and
this package must be on every node, under the same path and name.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.replica import Replica
from tw_plugins.rollout import Completion, Engine, EngineError

__all__ = ["ADDRESS", "RayEngine", "Replicas"]

logger = logging.getLogger(__name__)

ADDRESS = "RAY_ADDRESS"
AT_A_TIME = 1 << 14  # requests of one replica; vLLM itself has them wait
SHUTDOWN_S = 15.0
CONNECT_S = 15.0
LOOK_EVERY_S = 60.0
LOCAL = {"address": "local", "include_dashboard": False, "object_store_memory": 200 << 20}


@dataclass(frozen=True)
class Replicas:
    """How many engines.

    Attributes:
        tensor_parallel_size: GPUs of each; CPUs where there are no GPUs.
    """

    count: int
    tensor_parallel_size: int = 1

    @contextmanager
    def engines(self, model: str, engine_args: Mapping[str, Any]) -> Iterator[list[tuple[str, Engine]]]:
        """The engines that have started, by name; ended on the way out, with all their processes.

        Args:
            model: folder or name.
            engine_args: of `VLLMEngine`.

        Raises:
            ModuleNotFoundError: Ray is not installed.
            EngineError: the cluster cannot be joined, has no room for them, or no engine has started.
        """
        import ray

        model = str(Path(model).absolute()) if Path(model).is_dir() else model
        args = {**engine_args, "tensor_parallel_size": self.tensor_parallel_size}
        with _cluster():
            made = ray.remote(Replica).options(
                max_concurrency=AT_A_TIME, scheduling_strategy="SPREAD", **self._bundle(_nodes())
            )
            actors = {f"replica {number}": made.remote(model, args) for number in range(1, self.count + 1)}
            try:
                yield _started(actors)
            finally:
                _end(list(actors.values()))

    def _bundle(self, nodes: Sequence[Mapping[str, float]]) -> dict[str, int]:
        """What Ray is asked for, for each.

        Raises:
            EngineError: the nodes together have room for fewer.
        """
        kind = "GPU" if any(node.get("GPU", 0) for node in nodes) else "CPU"
        room = sum(int(node.get(kind, 0)) // self.tensor_parallel_size for node in nodes)
        if room < self.count:
            raise EngineError(
                f"--replicas {self.count} with --tensor-parallel-size {self.tensor_parallel_size} takes "
                f"{self.count} × {self.tensor_parallel_size} {kind}, each on one node, and the Ray cluster "
                f"({len(nodes)} node{'' if len(nodes) == 1 else 's'}) has room for {room}: lower them, "
                "or add nodes"
            )
        size = self.tensor_parallel_size
        return {"num_cpus": 1, "num_gpus": size} if kind == "GPU" else {"num_cpus": size}


class RayEngine:
    """An engine that is a Ray actor of `Replica`."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`.

        Raises:
            EngineGone: the actor, its node or its vLLM has died, or cannot be reached.
            EngineError: what `VLLMEngine.generate` raises; other errors come with the actor's traceback.
        """
        from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

        try:
            asked = self._actor.generate.remote(
                list(prompt_ids), list(stop_token_ids), max_tokens, request_id
            )
            answer: Completion = await asked
        except RayTaskError as error:
            if isinstance(error.cause, EngineError):
                raise error.cause from None
            raise
        except RayError as error:
            passing = isinstance(error, ActorUnavailableError)
            raise EngineGone(_first_line(error), for_good=not passing) from None
        return answer


@contextmanager
def _cluster() -> Iterator[None]:
    """Connected to Ray: as this process is already, else to RAY_ADDRESS, else to one of its own."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get(ADDRESS)
    if address:
        _check_listening(address)
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # Ray's name for: loopback only
    how: dict[str, Any] = {"address": address} if address else LOCAL
    with _own_signals():
        try:
            ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            what = f"join the Ray cluster of {ADDRESS}={address}" if address else "start Ray"
            raise EngineError(f"cannot {what} ({_first_line(error)}): see `ray status` there") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Ray itself asks for minutes before it gives an address up.

    Args:
        address: ``host:port`` is looked at; Ray's own words (``auto``, ``local``) are left to Ray.

    Raises:
        EngineError: nobody listens there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"no Ray cluster answers at {ADDRESS}={address} ({_first_line(error)}): start it (`ray start "
            "--head`), or set the variable to the address that it says"
        ) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it starts; commands have their own way to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _nodes() -> list[dict[str, float]]:
    """What each node has, taken or not."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _started(actors: Mapping[str, Any]) -> list[tuple[str, Engine]]:
    """Those that come up; one that does not is said.

    Raises:
        EngineError: none does.
    """
    import ray

    pending = {actor.start.remote(): name for name, actor in actors.items()}
    engines: list[tuple[str, Engine]] = []
    faults: dict[str, str] = {}
    while pending:
        ended, _ = ray.wait(list(pending), timeout=LOOK_EVERY_S)
        if not ended:
            logger.warning("waiting for %s: %s", ", ".join(pending.values()), _free())
        for one in ended:
            name = pending.pop(one)
            if fault := _fault(one):
                faults[name] = fault
            else:
                engines.append((name, RayEngine(actors[name])))
    if not engines:
        said = "; ".join(f"{name}: {fault}" for name, fault in sorted(faults.items()))
        raise EngineError(f"no replica has started ({said}): see Ray's logs, session_latest/logs on the node")
    for name, fault in faults.items():
        logger.warning("%s has not started, others do its work: %s", name, fault)
    return sorted(engines, key=lambda named: int(named[0].split()[-1]))


def _fault(started: Any) -> str | None:
    """Why an actor has not started; None where it has."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        ray.get(started)
    except RayTaskError as error:
        return f"{type(error.cause).__name__}: {_first_line(error.cause)}"
    except RayError as error:
        return _first_line(error)
    return None


def _free() -> str:
    """What the cluster has that nobody has taken."""
    import ray

    free = ray.available_resources()
    return f"the cluster has {free.get('GPU', 0):g} GPU and {free.get('CPU', 0):g} CPU to spare"


def _end(actors: list[Any]) -> None:
    """vLLM's processes first, which a killed actor would leave behind for a moment."""
    import ray

    ray.wait([actor.shutdown.remote() for actor in actors], num_returns=len(actors), timeout=SHUTDOWN_S)
    for actor in actors:
        ray.kill(actor)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
