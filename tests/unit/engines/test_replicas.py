"""Replicas without Ray: what they take of a cluster, their requests' seeds, and runs that were broken off."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.eval_server import TAGS
from tests.support.fakes import EOS
from tests.support.messages import assert_message
from tw_plugins.cli.app import app
from tw_plugins.engines import replicas
from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.replicas import Replicas
from tw_plugins.engines.request import request_seed
from tw_plugins.evaluation.records import read_records
from tw_plugins.rollout import Completion, Engine, EngineError

NODES = [{"CPU": 8.0, "GPU": 8.0}, {"CPU": 64.0}, {"CPU": 8.0, "GPU": 4.0}]


@pytest.mark.parametrize(
    ("count", "size", "nodes", "bundle"),
    [
        (12, 1, NODES, {"num_cpus": 1, "num_gpus": 1}),
        (3, 4, NODES, {"num_cpus": 1, "num_gpus": 4}),
        (2, 1, [{"CPU": 2.0}], {"num_cpus": 1}),
        (2, 2, [{"CPU": 2.0}, {"CPU": 3.0}], {"num_cpus": 2}),
    ],
)
def test_what_a_replica_takes(count: int, size: int, nodes: Any, bundle: dict[str, int]) -> None:
    assert Replicas(count, size)._bundle(nodes) == bundle


@pytest.mark.parametrize(
    ("count", "size", "nodes", "message"),
    [
        (
            13,
            1,
            NODES,
            r"13 × 1 GPU, each on one node, and the Ray cluster \(3 nodes\) has room for 12: lower",
        ),
        (2, 6, NODES, r"--replicas 2 with --tensor-parallel-size 6 takes 2 × 6 GPU.* has room for 1: "),
        (3, 1, [{"CPU": 2.0}], r"3 × 1 CPU, each on one node, and the Ray cluster \(1 node\) has room for 2"),
    ],
)
def test_more_than_there_is_room_for(count: int, size: int, nodes: Any, message: str) -> None:
    with pytest.raises(EngineError) as error:
        Replicas(count, size)._bundle(nodes)
    assert_message(error.value, message)


def test_a_requests_seed_is_its_own() -> None:
    asked = [(seed, name, ids) for seed in (0, 1) for name in ("a", "b") for ids in ([5, 6], [5, 7], [5])]
    seeds = {request_seed(*one) for one in asked}
    assert len(seeds) == len(asked) and all(0 <= seed < 1 << 63 for seed in seeds)
    assert request_seed(0, "parallel-3-1", [5, 6]) == 5718681700870663237, "samples of older runs stay theirs"


def test_without_ray(model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["eval", "run", "--model", str(model), "--data", str(data), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*command, "--replicas", "2", "--max-tokens", "200"])
    assert result.exit_code == 2 and len(result.output.strip().splitlines()) == 1
    assert_message(
        result.output.strip(), r"error: this needs ray, which is not installed: pip install 'tw-plugins\["
    )


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "[::1]:9", "127.0.0.1:99999"])
def test_no_cluster_is_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(EngineError) as error, Replicas(1).engines("m", {}):
        pass
    assert_message(error.value, "no Ray cluster answers at RAY_ADDRESS=.*:9.*: start it")


class Sampling:
    """Draws by the request's seed alone, and is lost for good after so many requests."""

    def __init__(self, seed: int, lost_after: float, order: random.Random) -> None:
        self._seed, self._left, self._order = seed, lost_after, order

    async def generate(self, prompt_ids: list[int], *, request_id: str, **_: Any) -> Completion:
        for _turn in range(self._order.randint(0, 9)):
            await asyncio.sleep(0)
        self._left -= 1
        if self._left < 0:
            raise EngineGone("The actor died", for_good=True)
        rng = random.Random(request_seed(self._seed, request_id, prompt_ids))
        word = "".join(rng.choices("abcdef", k=8))
        return Completion(
            TAGS.encode(f"<think>{word}\n</think>\\boxed{{{rng.choice('78')}}}{EOS}"), None, "stop"
        )


def selftrain(
    model: Path, data: Path, out: Path, monkeypatch: Any, lost_after: list[float], order: int
) -> Any:
    """`data selftrain --replicas`, the second half of it on engines that are made here."""

    @contextmanager
    def engines(
        self: Replicas, model: str, engine_args: Mapping[str, Any]
    ) -> Iterator[list[tuple[str, Engine]]]:
        assert engine_args["seed_requests"]
        rng = random.Random(order)
        made = [Sampling(engine_args["seed"], left, rng) for left in lost_after]
        yield [(f"replica {number}", engine) for number, engine in enumerate(made[: self.count], 1)]

    monkeypatch.setattr(replicas.Replicas, "engines", engines)
    command = ["data", "selftrain", "--model", str(model), "--prompts", str(data), "--out", str(out)]
    options = ["--samples", "6", "--seed", "4", "--concurrency", "5", "--max-tokens", "200"]
    return CliRunner().invoke(app, [*command, *options, "--replicas", str(len(lost_after))])


def test_samples_do_not_depend_on_who_draws_them_when_and_after_what(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One engine; three of which one is lost; and two that are both lost, and the same command again."""
    never = float("inf")

    def made(name: str) -> tuple[Any, bytes, Any]:
        records = read_records(tmp_path / name / "samples.jsonl")
        by_number = sorted(records, key=lambda record: (record.index, record.sample or 0))
        funnel = json.loads((tmp_path / name / "funnel.json").read_text())
        return by_number, (tmp_path / name / "sft.parquet").read_bytes(), funnel

    assert selftrain(model, data, tmp_path / "one", monkeypatch, [never], 0).exit_code == 0
    assert selftrain(model, data, tmp_path / "three", monkeypatch, [never, 2, never], 1).exit_code == 0
    assert re.search("lost: replica 2; [1-5] trajector(y|ies) went on elsewhere", caplog.text)
    broken = selftrain(model, data, tmp_path / "two", monkeypatch, [3, 4], 2)
    assert broken.exit_code == 2 and "The actor died" in broken.output
    assert 0 < len(read_records(tmp_path / "two" / "samples.jsonl")) < 18
    assert selftrain(model, data, tmp_path / "two", monkeypatch, [never, never], 3).exit_code == 0
    one = made("one")
    assert len({record.text for record in one[0]}) == 18
    assert made("three") == one and made("two") == one
