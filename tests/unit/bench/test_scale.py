"""What `threadweaver bench scale` shows and refuses, and what its measurements are made of."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.messages import assert_message
from tw_plugins.bench import BenchError
from tw_plugins.bench.rollout import RolloutFigures
from tw_plugins.bench.scale import client, engine
from tw_plugins.bench.shapes import SHAPES
from tw_plugins.bench.timing import Spread
from tw_plugins.cli.app import app
from tw_plugins.rollout import Completion


def bench_scale(*options: str) -> Any:
    return CliRunner().invoke(app, ["bench", "scale", *options], env={"COLUMNS": "160"})


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = bench_scale("--replicas", "2", "--per-replica", "4", "--workers", "1", "--json", str(out))
    assert done.exit_code == 0, done.output
    by_trajectory, by_thread = json.loads(out.read_text())["figures"]
    assert (by_trajectory["step"]["trajectories"], by_thread["step"]["placement"]) == (8, "thread")
    ratio = by_thread["step"]["seconds"] / by_trajectory["step"]["seconds"]
    assert f"{ratio:.2f}×" in done.output and "Qwen3-8B on one h100 each" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--placement", "sky"], "--placement is 'sky': choose one of trajectory, thread, prompt"),
        (["--workload", "sky"], "--workload is 'sky': choose one of self-training, first-stage"),
        (["--gpu", "sky"], "--gpu is 'sky': choose one of rtx4090"),
        (["--model", "sky"], "'sky' is no folder"),
        (["--gpu", "rtx4090", "--replicas", "1", "--per-replica", "1"], "KV cache of .*: give a larger GPU"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(options: list[str], said: str) -> None:
    done = bench_scale(*options)
    assert done.exit_code == 2
    assert_message(" ".join(done.output.split()), said)


def test_costs_of_the_client_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """With parts of known times, and no Ray."""
    monkeypatch.setattr(client, "_through_ray", lambda prompt, answer, replicas: (prompt * 1e-6, 0.25))
    monkeypatch.setattr(client, "_grading_cpu_s", lambda times: 5 + 6 * 0.5 * times)
    figures = RolloutFigures(1, 1, Spread(0.5, 0.5, 0.5), 0, 0)
    monkeypatch.setattr(client, "bench_rollout", lambda shape, trajectories, repeats: figures)
    monkeypatch.setattr(client, "_cpu_s", lambda work, times: (work(), 2.0)[1])
    found = client.measure_client(SHAPES["self-training"].scaled(400), 8)
    assert (found.trajectory, found.routing) == (2.0, 0.25)
    assert found.answer == pytest.approx(0.5)
    assert found.driver == 2.0 / client.TRAJECTORIES
    assert found.request == pytest.approx(0.5, abs=0.01)


class Sampler:
    """An engine that answers at once with as many ids as it likes."""

    block_size, kv_tokens = 32, 10_000

    def __init__(self, short: int = 0) -> None:
        self.short, self.asked = short, 0

    async def generate(self, prompt: Sequence[int], *, max_tokens: int, **_: Any) -> Completion:
        self.asked += len(prompt)
        await asyncio.sleep(1e-4 * max_tokens)
        return Completion([50] * (max_tokens - self.short), None, "length")

    async def reset_prefix_cache(self) -> None:
        pass

    def prefix_cache_hits(self) -> int:
        return self.asked // 2


def test_real_and_simulated_decode_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._Clock, "_now", lambda self: {0: time.perf_counter()})

    async def measured() -> tuple[Any, Any]:
        engines: Any = [Sampler(), Sampler()]
        return await engine._fitted(engines, 1), await engine._real(engines, 6, 1)

    held = engine._held(*asyncio.run(measured()))
    assert (held.replicas, held.trajectories, held.real_hits) == (2, 6, pytest.approx(0.5, abs=0.01))
    assert held.ratio == held.simulated / held.real.least > 0


def test_a_model_that_stops_early_is_an_error() -> None:
    engine_: Any = Sampler(short=1)
    with pytest.raises(BenchError) as error:
        asyncio.run(engine._sampled(engine_, [5], 10, "r"))
    assert_message(error.value, "sampled 9 tokens of 10 after 1: give a model")
