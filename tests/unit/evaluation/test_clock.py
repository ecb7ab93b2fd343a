"""The paired wall clock: turns, ratios, going on after a kill, the machine's load, wrong inputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import Qwen3Config
from typer.testing import CliRunner

from tests.support.fakes import StoryEngine, control_tokens
from tests.support.messages import assert_message
from tw_plugins.cli import clock as clock_command
from tw_plugins.cli.app import app
from tw_plugins.cli.clock import SUMMARY
from tw_plugins.engines.placement import side_by_side
from tw_plugins.evaluation.clock.cpu_load import OthersCpu
from tw_plugins.evaluation.clock.figures import clock_figures, clock_line
from tw_plugins.evaluation.clock.file import append_pair, clock_file, salvage_pairs
from tw_plugins.evaluation.clock.pairs import Decoded, Pair, Side, time_pairs
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.evaluation.records import RecordError
from tw_plugins.evaluation.run import EvalSettings
from tw_plugins.rollout import Completion, Limits

TAGS = control_tokens()
LIMITS = Limits(max_tokens=400, max_thread_tokens=100, answer_reserve=50)
Log = list[tuple[str, str]]


class Fake:
    """Forks once where it may; keeps what was decoded and when its cache was emptied."""

    def __init__(self, name: str, log: Log, pause_s: float = 0.0, fails_after: int = 10**6) -> None:
        self.name, self.log, self.pause_s, self.fails_after = name, log, pause_s, fails_after

    async def reset_prefix_cache(self) -> None:
        self.log.append((self.name, "empty"))
        self.story = StoryEngine(0, TAGS, blocks=1)

    async def generate(self, prompt_ids: Sequence[int], **asked: Any) -> Completion:
        prompt = TAGS.decode(prompt_ids)
        if not self.story.requests:
            self.log.append((self.name, prompt))
            self.fails_after -= 1
            if self.fails_after < 0:
                raise KeyboardInterrupt
        time.sleep(self.pause_s)
        return await self.story.generate(prompt_ids, **asked)


def problem(index: int) -> EvalProblem:
    return EvalProblem(index, "decomposable", f"problem {index}", TAGS.encode(f"problem {index}"), "7")


def pair(index: int = 0, own: float = 1.0, baseline: float = 2.0, others: float = 0.1) -> Pair:
    return Pair(
        index, f"problem {index}", "own", Decoded(own, 200, 100), Decoded(baseline, 180, 180), others, 1.5
    )


def side(engine: Any, mode: Any) -> Side:
    return Side(engine, TAGS, LIMITS, mode, {n: problem(n).prompt_ids for n in range(9)})


# ── decoding ──


async def test_the_two_take_turns_in_being_first() -> None:
    log, pairs = Log(), []
    own, baseline = side(Fake("own", log, 0.01), "parallel"), side(Fake("base", log), "autoregressive")
    await time_pairs(own, baseline, [problem(n) for n in range(3)], [problem(8)], pairs.append)
    first = [entry for entry in log if entry[1] != "empty"]
    warm_up, timed = first[:2], first[2:]
    assert warm_up == [("own", "problem 8"), ("base", "problem 8")]
    assert timed == [
        *(("own", "problem 0"), ("base", "problem 0")),
        *(("base", "problem 1"), ("own", "problem 1")),
        *(("own", "problem 2"), ("base", "problem 2")),
    ]
    assert [(made.index, made.first) for made in pairs] == [(0, "own"), (1, "baseline"), (2, "own")]
    for made in pairs:
        assert made.own.longest < made.own.total and made.own.seconds >= 0.03  # three requests in sequence
        assert made.baseline.longest == made.baseline.total and made.baseline.seconds < made.own.seconds
        assert 0 <= made.others_cpu <= 1 and made.load_average >= 0


async def test_every_decoding_starts_from_an_empty_cache() -> None:
    log = Log()
    own, baseline = side(Fake("own", log), "parallel"), side(Fake("base", log), "autoregressive")
    await time_pairs(own, baseline, [problem(0)], [problem(1)], lambda made: None)
    assert len(log) == 8 and [what for _, what in log[::2]] == ["empty"] * 4


async def test_turns_go_on_where_an_earlier_run_stopped() -> None:
    pairs: list[Pair] = []
    own, baseline = side(Fake("own", []), "parallel"), side(Fake("base", []), "autoregressive")
    await time_pairs(own, baseline, [problem(3)], [], pairs.append, done=3)
    assert pairs[0].first == "baseline"


# ── load ──


def test_cpu_time_of_a_child_is_ours_and_that_of_another_is_not() -> None:
    """The same process, seen by a meter made before it was started and by one made after."""
    before = OthersCpu()
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        after = OthersCpu()
        before.restart()
        time.sleep(1)
        as_other, as_ours = before.share(), after.share()
    finally:
        child.kill()
        child.wait()
    assert 0 <= as_ours < as_other - 0.004 and as_other <= 1  # a busy machine gives the child little


def test_an_ended_child_does_no_harm() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    meter = OthersCpu()
    child.kill()
    child.wait()
    assert 0 <= meter.share() <= 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")
def test_engines_share_their_cpus_and_we_have_another() -> None:
    before, work = os.sched_getaffinity(0), [sys.executable, "-c", "import time; time.sleep(60)"]
    free, bound = children = [subprocess.Popen(work) for _ in range(2)]
    own = {min(before)}
    os.sched_setaffinity(bound.pid, own)
    try:
        with side_by_side(threads=1) as placed:
            assert placed and os.sched_getaffinity(bound.pid) == own
            ours, theirs = os.sched_getaffinity(0), os.sched_getaffinity(free.pid)
            assert len(ours) == len(theirs) == 1 and not ours & theirs
        assert os.sched_getaffinity(0) == os.sched_getaffinity(free.pid) == before
        with side_by_side(threads=len(before)) as placed:
            assert not placed and os.sched_getaffinity(0) == os.sched_getaffinity(free.pid) == before
    finally:
        for child in children:
            child.kill()
            child.wait()


# ── figures ──


def test_figures_by_hand() -> None:
    pairs = [pair(0, 1.0, 2.0, 0.1), pair(1, 1.0, 9.0, 0.5), pair(2, 2.0, 2.0, 0.0)]
    figures = clock_figures(pairs, asked=3)
    clock = figures["wall_clock"]
    assert clock["median"] == 2.0 and (clock["low"], clock["high"]) == (1.0, 9.0)
    assert figures["token_latency"] == 1.8
    assert figures["own"] == {"seconds": pytest.approx(4 / 3), "total": 200, "longest": 100}
    assert figures["baseline"]["seconds"] == pytest.approx(13 / 3)
    assert figures["others_cpu"] == {"median": 0.1, "most": 0.5}
    assert figures["load_average"] == {"before": 1.5, "median": 1.5, "after": 1.5}
    assert (figures["problems"], figures["asked"]) == (3, 3)


def test_the_line_says_when_there_are_too_few() -> None:
    enough = clock_line(clock_figures([pair(n) for n in range(30)], asked=30))
    assert "30 problems · wall clock 2.00× (95 %: 2.00–2.00), token latency 1.80×" in enough
    assert (
        "1.000 s against 2.000 s" in enough
        and "took 10% of" in enough
        and "load 1.5" in enough
        and "only" not in enough
    )
    few = clock_line(clock_figures([pair()], asked=40))
    assert "the file has only 1 of the 40 problems asked for" in few
    assert "fewer than 30 problems: the median says little" in few and "only" in few
    assert "the file has" not in clock_line(clock_figures([pair()], asked=1))


# ── the file ──


def test_pairs_survive_a_file_and_half_a_line_is_cut_off(tmp_path: Path) -> None:
    path = clock_file(tmp_path / "new")
    assert salvage_pairs(path) == []
    for index in range(2):
        append_pair(pair(index), path)
    with path.open("a") as file:
        file.write('{"index": 2, "pro')
    assert salvage_pairs(path) == [pair(0), pair(1)]
    append_pair(pair(2), path)
    assert [made.index for made in salvage_pairs(path)] == [0, 1, 2]


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"index": 0}', '{"own": {"s": 1}, "baseline": {}}'])
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str) -> None:
    path = clock_file(tmp_path)
    path.write_text(line + "\n")
    with pytest.raises(RecordError) as error:
        salvage_pairs(path)
    assert_message(error.value, r"clock\.jsonl, line 1: not a pair of timed answers\. Remove the line")


# ── the command ──


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five problems; those with an even index are decomposable."""
    path = tmp_path / "problems.jsonl"
    rows = [
        {
            "prompt": [{"role": "user", "content": f"problem {n}"}],
            "reward_model": {"ground_truth": "7"},
            "extra_info": {"index": n, "kind": "chain" if n % 2 else "decomposable"},
        }
        for n in range(5)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fake_engines(monkeypatch: pytest.MonkeyPatch, log: Log, fails_after: int = 10**6) -> list[Fake]:
    """In place of vLLM's; those that were made."""
    names, made = iter(["own", "base"] * 9), list[Fake]()

    @contextmanager
    def engine(model: str, **_: Any) -> Iterator[Fake]:
        made.append(Fake(next(names), log, fails_after=fails_after))
        yield made[-1]

    monkeypatch.setattr(clock_command, "VLLMEngine", engine)
    return made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """What the fake engines were asked."""
    kept = Log()
    fake_engines(monkeypatch, kept)
    return kept


def clock(model: Path, data: Path, out: Path, problems: int = 2) -> dict[str, Any]:
    console = Console(quiet=True)
    settings = EvalSettings(max_tokens=300)
    return clock_command.run(str(model), str(model), data, out, problems, settings, console)


def asked(log: Log) -> list[str]:
    return [prompt for name, prompt in log if name == "own" and prompt != "empty"]


def test_first_decomposable_problems_after_a_warm_up_on_others(
    model: Path, data: Path, tmp_path: Path, log: Log
) -> None:
    figures = clock(model, data, tmp_path / "out")
    assert asked(log) == ["problem 4", "problem 0", "problem 2"]
    assert [made.index for made in salvage_pairs(clock_file(tmp_path / "out"))] == [0, 2]
    assert json.loads((tmp_path / "out" / SUMMARY).read_text()) == figures
    assert (figures["problems"], figures["asked"]) == (2, 2)


def test_broken_off_it_goes_on(
    model: Path, data: Path, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the second problem is decoded, and half a line is left: the first is kept as it is."""
    out = tmp_path / "out"
    fake_engines(monkeypatch, log, fails_after=2)
    with pytest.raises(KeyboardInterrupt):
        clock(model, data, out)
    (kept,) = salvage_pairs(clock_file(out))
    with clock_file(out).open("a") as file:
        file.write('{"index": 2')
    fake_engines(monkeypatch, log)
    log.clear()
    assert clock(model, data, out)["problems"] == 2
    first, second = salvage_pairs(clock_file(out))
    assert first == kept and (second.index, second.first) == (2, "baseline")
    assert asked(log) == ["problem 4", "problem 2"]
    log.clear()
    assert clock(model, data, out)["problems"] == 2 and not log, "all is there: no engine is made"


def test_more_problems_than_there_are(model: Path, data: Path, tmp_path: Path, log: Log) -> None:
    figures = clock(model, data, tmp_path / "out", problems=30)
    assert (figures["problems"], figures["asked"]) == (3, 30)
    assert clock(model, data, tmp_path / "out", problems=2)["problems"] == 2, "fewer are taken of these"


def test_wrong_inputs_are_one_line(model: Path, data: Path, tmp_path: Path, log: Log) -> None:
    clock(model, data, tmp_path / "old")
    good = {"--model": model, "--baseline": model, "--data": data, "--out": tmp_path / "new"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"--baseline": tmp_path / "none"}, "cannot load the tokenizer of .*none"),
        ({"--data": tmp_path / "none.parquet"}, "none.parquet is no file or folder: check the path"),
        ({"--out": tmp_path / "old", "--max-tokens": 9}, "max_tokens was 300, is 9. Give another --out"),
        ({"--engine-arg": "dtype"}, "--engine-arg 'dtype' is not NAME=VALUE: write it as"),
        ({"--engine-arg": "model=x"}, "--engine-arg model is not needed: give the model as --model"),
    ]
    for change, message in wrong:
        arguments = [str(part) for option in (good | change).items() for part in option]
        result = CliRunner().invoke(app, ["eval", "clock", *arguments])
        assert result.exit_code == 2 and len(result.output.strip().splitlines()) == 1, result.output
        assert re.search(message, result.output), result.output
    result = CliRunner().invoke(app, ["eval", "clock", "--problems", "0"])
    assert result.exit_code == 2 and "than or equal to 1" in " ".join(result.output.split())


def test_both_have_the_room_of_the_smaller_context(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Path(shutil.copytree(model, tmp_path / "small"))
    Qwen3Config(vocab_size=200, max_position_embeddings=109).save_pretrained(small)
    engines = fake_engines(monkeypatch, Log())
    clock_command.run(str(model), str(small), data, tmp_path / "out", 1, EvalSettings(), Console(quiet=True))
    first = [engine.story.requests[0] for engine in engines]
    assert first[1].max_tokens == 109 - len("problem 0") and first[0].max_tokens <= first[1].max_tokens


def test_problems_that_changed_are_refused(model: Path, data: Path, tmp_path: Path, log: Log) -> None:
    clock(model, data, tmp_path / "out")
    data.write_text(data.read_text().replace("problem 0", "another"))
    with pytest.raises(ValueError, match=r"the problems have changed\. Give another --out"):
        clock(model, data, tmp_path / "out")


def test_no_pair_no_figure() -> None:
    with pytest.raises(ValueError, match="no pair of timed answers: run"):
        clock_figures([], 3)
