"""What the benchmarks time is what they say: the same work on all sides, in the shape asked for."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.support.messages import assert_message
from tests.support.sandbox import needs_sandbox
from tw_plugins.bench import BenchError, timing
from tw_plugins.bench import engine as bench_engine
from tw_plugins.bench.collate import bench_collate, grown
from tw_plugins.bench.cpu_meter import CpuMeter
from tw_plugins.bench.engine import _Router
from tw_plugins.bench.head import VOCABULARY, bench_head
from tw_plugins.bench.memory import peak_of_process
from tw_plugins.bench.prefix_cache import possible_hits
from tw_plugins.bench.programs import KINDS, bench_programs
from tw_plugins.bench.reward import _mixture, bench_reward
from tw_plugins.bench.rollout import bench_rollout
from tw_plugins.bench.shapes import SHAPES, Shape, ShapedEngine, shaped_rollout, tags
from tw_plugins.bench.step import REST, bench_step
from tw_plugins.bench.update import MODELS, ModelShape, bench_update, model_with, update
from tw_plugins.cli.app import app
from tw_plugins.evaluation.provenance import Machine
from tw_plugins.rollout import Call, Completion, Limits, Rollout, fork_join
from tw_plugins.trajectory import validate_ids
from tw_plugins.trie import Branch, TrieRow, row_from_rollout, rows_from_rollout

TINY = ModelShape(hidden=8, ffn=16, heads=2, kv_heads=1, head_dim=4, layers=1)
SMALL = Shape(tokens=600, threads=(3, 2), in_threads=0.6)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_those_asked_for(name: str) -> None:
    shape = SHAPES[name]
    rollout = shaped_rollout(shape)
    sampled = sum(len(call.completion.token_ids) for call in rollout.calls)
    in_threads = sum(len(call.completion.token_ids) for call in rollout.calls if call.thread)
    assert sampled == pytest.approx(shape.tokens, rel=0.02)
    assert in_threads / sampled == pytest.approx(shape.in_threads, abs=0.02)
    assert len(rollout.calls) == sum(shape.threads) + len(shape.threads) + 1
    assert not validate_ids(rollout.response_ids, tags()) and not rollout.limits_hit
    assert sum(row_from_rollout(rollout).loss_mask) == sampled


def test_all_ways_of_an_update_give_the_same_gradient() -> None:
    rollout = shaped_rollout(SMALL)
    trie, rows = [row_from_rollout(rollout)], rows_from_rollout(rollout)
    gradients = []
    for attention, batch in (("trie", trie), ("sdpa", trie), ("sdpa", rows)):
        model = model_with(attention, MODELS["small"])
        update(model, batch, trained=100)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    for gradient in gradients[:2]:
        assert torch.linalg.norm(gradient - gradients[2]) <= 1e-5 * torch.linalg.norm(gradients[2])


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be measured in a process of its own is done here, as the process would get it."""

    def done(prepare: Any, tiny: Shape, case: Shape) -> int:
        prepared = pickle.loads(pickle.dumps(prepare))(tiny)
        prepared()
        return case.tokens

    monkeypatch.setattr("tw_plugins.bench.update.peak_of_process", done)


def test_figures_of_an_update(no_processes: None) -> None:
    figures = bench_update(SMALL, TINY, repeats=1, device="cpu")
    assert figures.rows_tokens > figures.trie_tokens > figures.tokens
    rows, trie = figures.timings["one row per request"], figures.timings["trie row"]
    assert rows.ratio == rows.seconds / trie.seconds and trie.ratio == 1
    assert set(figures.memory) == set(figures.timings)


def test_multiplications_by_hand() -> None:
    """Matrices: 8·8 for queries and output, 8·4 for keys and values, 3·8·16 of the FFN, 8·512 of the head."""
    branched = TrieRow([1] * 5, [0, 1, 2, 2, 3], [0] * 5, [Branch(3, 2, 2)])
    matrices = 2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 16 + 8 * 512
    pairs = 1 + 2 + 3 + 3 + 4
    assert TINY.macs([branched]) == 5 * matrices + 2 * 8 * pairs


def test_a_grown_tree_lets_a_token_see_its_own_units_prefix() -> None:
    mask = grown([[1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 6]])  # nodes: 1 2 3 4 | 5 | 6
    seen = [sorted((mask[node] == 0).nonzero().flatten().tolist()) for node in range(6)]
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 4], [0, 1, 2, 5]]


def test_figures_of_collating() -> None:
    figures = bench_collate(SMALL, repeats=1)
    assert figures.tokens > SMALL.tokens
    assert set(figures.timings) == set(figures.memory) == {"row", "row, dense mask", "tree and dense mask"}
    assert figures.memory["tree and dense mask"] > figures.tokens**2 * 4 > figures.memory["row"]


def test_figures_of_the_head() -> None:
    figures = bench_head(tokens=256, hidden=8, chunk=16, repeats=1, device="cpu")
    assert set(figures.timings) == set(figures.memory) == {"in chunks", "all logits at once"}
    assert figures.memory["all logits at once"] > 256 * VOCABULARY * 4 > figures.memory["in chunks"]


def test_figures_of_rollouts() -> None:
    figures = bench_rollout(SMALL, trajectories=3, repeats=2)
    assert figures.requests == 3 * (5 + 3)
    assert figures.peak_bytes >= figures.kept_bytes > 0


def test_memory_does_not_grow_with_the_requests() -> None:
    """As many tokens in three blocks and in fifteen."""
    few, many = (
        bench_rollout(Shape(tokens=8000, threads=(3,) * blocks, in_threads=0.6), trajectories=1, repeats=1)
        for blocks in (3, 15)
    )
    assert many.requests > 4 * few.requests and many.kept_bytes < 1.5 * few.kept_bytes


def test_possible_hits_by_hand() -> None:
    """A prompt of 6, a segment of 5, two threads, an end; the last sampled token is not cached."""
    prompt, segment = list(range(6)), list(range(10, 15))
    fork = prompt + segment
    calls = [
        Call(prompt, Completion(segment, None, "stop"), None, None),
        Call([*fork, 20], Completion([30, 31], None, "stop"), 1, 1),
        Call([*fork, 21], Completion([40, 41], None, "stop"), 1, 2),
        Call([*fork, 20, 30, 31, 21, 40, 41], Completion([50], None, "stop"), None, None),
    ]
    # blocks of 4: the segment leaves 0–3 and 4–7, which both threads take; thread 1 leaves 8–11, which the
    # end takes
    assert possible_hits([Rollout(prompt, [], calls)], block_size=4) == 0 + 8 + 8 + 12
    # the prompt's last token is computed even when a block ends with it
    assert possible_hits([Rollout(prompt, [], calls[:1])] * 2, block_size=3) == 3


def test_a_router_keeps_a_trajectory_together_unless_told_not_to() -> None:
    async def places(sticky: bool) -> list[set[int]]:
        """Per trajectory the engines that answered it, two trajectories at once."""
        engines = [ShapedEngine(SMALL), ShapedEngine(SMALL)]
        asked: dict[str, set[int]] = {}
        for place, engine in enumerate(engines):
            engine._segments = engines[0]._segments  # they answer for each other
            engine._written = engines[0]._written
            engine.generate = _noting(engine.generate, asked, place)  # type: ignore[method-assign]
        router = _Router(engines, sticky)
        await asyncio.gather(*(fork_join(router, [1], tags(), Limits()) for _ in range(2)))
        return list(asked.values())

    assert all(len(where) == 1 for where in asyncio.run(places(sticky=True)))
    assert all(len(where) == 2 for where in asyncio.run(places(sticky=False)))


class CountedEngine(ShapedEngine):
    """With a prefix cache that serves 16 tokens in the first run of a mode and 8 in the others."""

    block_size = 4

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.asked, self.gains = 0, iter([16, 16, 8, 8])

    async def reset_prefix_cache(self) -> None:
        self.asked = 0

    def prefix_cache_hits(self) -> int:
        self.asked += 1
        return 0 if self.asked == 1 else next(self.gains)


async def test_both_modes_take_turns_and_the_worst_cache_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []

    def noted(*arguments: Any, mode: str) -> Any:
        modes.append(mode)
        return fork_join(*arguments, mode=mode)

    monkeypatch.setattr(bench_engine, "fork_join", noted)
    prepared: Any = SimpleNamespace(tags=tags(), limits=Limits())
    engine: Any = CountedEngine(SMALL)
    figures = await bench_engine._at_batch(engine, prepared, [[1], [2]], batch=1, repeats=2)
    first = ["autoregressive"] * 2 + ["parallel"] * 2
    assert modes == first + first[::-1]
    assert (figures.batch, figures.problems, figures.hits) == (1, 2, 8)
    assert figures.asked > figures.possible > 0 and figures.orchestrator.least > 0
    assert figures.token_latency.least == figures.token_latency.most


def _noting(generate: Any, asked: dict[str, set[int]], place: int) -> Any:
    async def noted(*args: Any, request_id: str, **kwargs: Any) -> Completion:
        asked.setdefault(request_id, set()).add(place)
        return await generate(*args, request_id=request_id, **kwargs)

    return noted


def test_figures_of_grading() -> None:
    figures = bench_reward(answers=18, hostile=1, processes=1, deadline_s=1.0, repeats=1)
    assert (figures.hostile, figures.wrong, figures.replaced) == (1, 0, 1)
    assert figures.slowest_s.median >= figures.median_s.median > 0


@needs_sandbox
@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_programs(kind: str) -> None:
    figures = bench_programs(kind, programs=2, at_once=2, repeats=1)
    assert (figures.programs, figures.wrong) == (2, 0)
    assert figures.slowest_s.median >= figures.median_s.median > 0


@pytest.mark.parametrize(("answers", "hostile"), [(10, 0), (10, 1), (10, 7), (10, 9), (400, 4)])
def test_as_many_hostile_answers_as_asked_for_at_even_distances(answers: int, hostile: int) -> None:
    places = [place for place, (_, honest) in enumerate(_mixture(answers, hostile)) if not honest]
    assert len(places) == hostile and len(_mixture(answers, hostile)) == answers
    distances = [b - a for a, b in pairwise(places)]
    assert not distances or max(distances) - min(distances) <= 1


def allocated(size: int) -> Any:
    return lambda: bytearray(b"x") * size


def failing(size: int) -> Any:
    return lambda: [][size]


def killed(size: int) -> Any:
    return lambda: os.kill(os.getpid(), signal.SIGKILL)


def test_the_peak_of_a_process_is_that_of_the_case() -> None:
    size = 64 << 20
    assert peak_of_process(allocated, 1 << 10, size) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize(("work", "pattern"), [(failing, "IndexError"), (killed, "signal 9.*fewer --tokens")])
def test_a_process_that_does_not_end_well_is_an_error(work: Any, pattern: str) -> None:
    with pytest.raises(BenchError) as error:
        peak_of_process(work, 1, 1)
    assert_message(error.value, pattern)


def test_a_meter_counts_the_steps_of_what_it_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1 s of its own, an engine's 10 s that do not count and 100 s of a task of another file."""
    now, meter = [0.0], CpuMeter()
    monkeypatch.setattr("tw_plugins.bench.cpu_meter.time.thread_time", lambda: now[0])

    async def spend(seconds: float) -> float:
        for _ in range(2):
            now[0] += seconds / 2
            await asyncio.sleep(0)
        return seconds

    async def whole() -> float:
        other = asyncio.create_task(asyncio.sleep(0, now.append(0)))  # written in asyncio
        spent = await spend(1) + await meter.without(spend(10))
        await other
        with pytest.raises(ZeroDivisionError):
            await meter.without(divided())
        return spent

    async def divided() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def main() -> list[float]:
        meter.watch_tasks(asyncio.get_running_loop(), {__file__})
        return await asyncio.gather(whole(), whole())

    assert asyncio.run(main()) == [11, 11]
    assert meter.seconds == 2


def test_a_machine_says_what_made_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/threadweaver", "bench", "update", "--shape", "4 x 3"])
    machine = Machine.here()
    assert machine.command == "threadweaver bench update --shape '4 x 3'" in str(machine)
    assert machine.cores >= 1 and machine.memory_gib > 0 and machine.gpu is None


def test_ratios_are_taken_turn_by_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    lengths = {
        "ours": iter([9.0, 1.0, 2.0, 4.0]),
        "other": iter([9.0, 2.0, 6.0, 4.0]),
    }  # the first is a warm-up

    def way(name: str) -> None:
        now[0] += next(lengths[name])

    found = timing.compare({name: lambda name=name: way(name) for name in lengths}, repeats=3)
    assert found["other"] == timing.Timing(seconds=4.0, ratio=2.0, ratio_min=1.0, ratio_max=3.0)
    assert found["ours"].seconds == 2.0


def test_the_command_prints_and_writes(tmp_path: Path, no_processes: None) -> None:
    out = tmp_path / "figures.json"
    options = ["--tokens", "300", "--repeats", "1", "--shape", "4x3", "--json", str(out)]
    result = CliRunner().invoke(app, ["bench", "update", *options])
    assert result.exit_code == 0, result.output
    assert "4 blocks of 3, 3, 3, 3 threads" in result.output
    written = json.loads(out.read_text())
    assert written["figures"][0]["timings"]["trie row"]["ratio"] == 1
    assert written["figures"][0]["shape"] == "4x3" and written["machine"]["cores"] >= 1


def metrics_file(folder: Path, steps: list[dict[str, float]]) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": n, "data": data}) + "\n" for n, data in enumerate(steps)))
    return path


def test_phases_of_steps_by_hand(tmp_path: Path) -> None:
    """The validation before the first step has no timings, the first step is left out."""
    steps = [
        {"timing_s/step": total, "timing_s/gen": total / 2, "timing_s/old_log_prob": 1.0, "timing_s/ref": 2.0}
        for total in (99.0, 10.0, 20.0, 12.0)
    ]
    found = bench_step(metrics_file(tmp_path, [{"val-core/acc": 1.0}, *steps]))
    assert (found.framework, found.steps, found.total) == ("verl", 3, 12.0)
    assert found.phases == {"rollout": 6.0, "log-probs": 3.0, "update": 0, "weight sync": 0, REST: 3.0}
    path = metrics_file(
        tmp_path, [{"timing/step_total": 4.0, "timing/generation": 1.0, "timing/ppo_train": 3.0}]
    )
    found = bench_step(path)
    assert (found.framework, found.steps, found.phases["update"], found.phases[REST]) == (
        "openrlhf",
        1,
        3.0,
        0,
    )


def test_steps_are_shown_against_the_first_run(tmp_path: Path) -> None:
    path = str(metrics_file(tmp_path, [{"timing_s/step": 4.0, "timing_s/gen": 3.0}]))
    result = CliRunner().invoke(app, ["bench", "step", path, path])
    assert result.exit_code == 0, result.output
    assert "3.00 s  75%" in result.output and "1.00×" in result.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file"),
        ("no JSON", "is not a metrics file"),
        ('{"step": 1}', "is not a metrics file"),
        ('{"step": 1, "data": {"train/loss": 1.0}}', "has no timings of RL steps"),
    ],
)
def test_a_file_without_steps_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "metrics.jsonl"
    if text is not None:
        path.write_text(text)
    result = CliRunner().invoke(app, ["bench", "step", str(path)])
    assert result.exit_code == 2
    assert reason in " ".join(result.output.split())
