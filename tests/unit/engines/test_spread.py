"""Several engines as one: who answers what, what is done again, and that nobody can tell by the results."""

from __future__ import annotations

import asyncio
import pickle
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.eval_server import RIGHT, plain, run
from tests.support.fakes import EOS, Request, control_tokens
from tests.support.listening import listening
from tests.support.messages import assert_message
from tests.support.servers import HANG_UP, Server, choice
from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.spread import Spread
from tw_plugins.evaluation.decode import evaluate
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.evaluation.records import EvalRecord, read_records
from tw_plugins.rollout import Completion, EngineError, Limits

TAGS = control_tokens()
LIMITS = Limits(max_tokens=600, max_thread_tokens=100, answer_reserve=50)


@dataclass
class Worker:
    """Writes forks and an answer, made of nothing but the trajectory's name and the prompt, at its own pace.

    Args:
        dies_at: the request, from 0, at which it and all that are under way are lost.
        back_at: the request, counted likewise, from which on it answers again; None for never.
    """

    pace: int = 0
    dies_at: int | None = None
    back_at: int | None = None
    requests: list[Request] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        self._check()
        self.requests.append(Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id))
        rng = random.Random(f"{request_id} {list(prompt_ids)}")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(rng.randint(1, 5) * self.pace + 1):
            await asyncio.sleep(0)
        self.at_once -= 1
        self._check(under_way=True)
        ids = TAGS.encode(self._text(rng, list(prompt_ids), TAGS.thread_end in stop_token_ids))
        return Completion(ids[:max_tokens], None, "stop" if len(ids) <= max_tokens else "length")

    def _check(self, under_way: bool = False) -> None:
        asked = len(self.requests)
        dead = self.dies_at is not None and asked >= self.dies_at + under_way
        if dead and (self.back_at is None or asked < self.back_at):
            self.requests.append(Request([], [], 0, "lost"))
            raise EngineGone("connection refused", for_good=self.back_at is None)

    def _text(self, rng: random.Random, prompt: list[int], in_thread: bool) -> str:
        word = "".join(rng.choices("abcdef", k=rng.randint(1, 9)))
        if in_thread:
            return f" {word}\n</Thread>"
        if TAGS.parallel in prompt:
            return f"</Parallel>\n\\boxed{{{rng.randint(6, 8)}}}{EOS}"
        outlines = "".join(f"<Outline>{n}: {word}</Outline>\n" for n in range(1, rng.randint(2, 4)))
        return f"<think>{word}\n<Parallel>\n<Outlines>\n{outlines}</Outlines>"


PROBLEMS = [
    EvalProblem(n, "all", f"problem {n}", TAGS.encode(f"problem {n}"), "7", sample=turn)
    for turn in range(2)
    for n in range(10)
]


def spread(*workers: Worker, pause_s: float = 60) -> Spread:
    return Spread([(f"engine {n}", worker) for n, worker in enumerate(workers, 1)], pause_s)


def decoded(engine: Spread | Worker, concurrency: int = 8) -> list[EvalRecord]:
    return asyncio.run(evaluate(engine, TAGS, PROBLEMS, "parallel", LIMITS, concurrency))


async def ask(engine: Spread, name: str = "t") -> Completion:
    return await engine.generate([5], stop_token_ids=[], max_tokens=99, request_id=name)


def test_trajectories_go_to_the_idlest_engine_and_stay_there() -> None:
    workers = [Worker(), Worker(pace=5), Worker()]
    alone = decoded(Worker())
    assert decoded(spread(*workers)) == alone
    assert all(record.blocks for record in alone) and len({record.text for record in alone}) == 20
    names = [{request.request_id for request in worker.requests} for worker in workers]
    assert set.union(*names) == {f"parallel-{n}-{turn}" for n in range(10) for turn in range(2)}
    assert sum(map(len, names)) == 20, "no trajectory is on two"
    assert len(names[1]) < 20 / 3 < len(names[0]), "the slow one gets less"


@pytest.mark.parametrize("pace", [0, 3])
@pytest.mark.parametrize("dies_at", [0, 1, 7, 20])
def test_what_a_lost_engine_had_is_done_again(
    dies_at: int, pace: int, caplog: pytest.LogCaptureFixture
) -> None:
    workers = [Worker(pace=2, dies_at=dies_at), Worker(pace=pace)]
    engine = spread(*workers)
    assert decoded(engine) == decoded(Worker())
    said = engine.said()
    assert engine.losses == 1 and said is not None
    moved = {request.request_id for request in workers[0].requests} & {
        request.request_id for request in workers[1].requests
    }
    assert re.fullmatch(r"lost: engine 1; \d+ trajector(y|ies) went on elsewhere", said)
    assert len(moved) <= int(said.split()[3])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "engine 1 is lost, others do its work: connection refused"


def test_nothing_lost_nothing_said() -> None:
    engine = spread(Worker(), Worker())
    decoded(engine)
    assert engine.said() is None


def test_no_engine_is_left() -> None:
    engine = spread(Worker(dies_at=3), Worker(dies_at=9))
    with pytest.raises(EngineError) as error:
        decoded(engine)
    assert_message(error.value, "none of 2 engines is left .engine 1: connection refused")
    with pytest.raises(EngineError) as error:
        asyncio.run(ask(engine))
    assert str(error.value) == (
        "none of 2 engines is left (engine 1: connection refused; engine 2: connection refused): see their "
        "logs. Run the same command again, it goes on where it was"
    )


def test_a_lost_engine_is_tried_again_with_one_request_and_taken_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    workers = [Worker(pace=2, dies_at=2, back_at=12), Worker(pace=2)]
    engine = spread(*workers, pause_s=0)
    assert decoded(engine) == decoded(Worker())
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["engine 1 is lost, others do its work: connection refused", "engine 1 is back"]
    assert engine.losses == 1
    back = [request.request_id for request in workers[0].requests[12:]]
    assert len(set(back)) > 1 and "lost" not in back


def test_while_it_is_tried_nobody_else_waits_for_it() -> None:
    async def go() -> tuple[int, int]:
        workers = [Worker(dies_at=0, back_at=1), Worker()]
        engine = spread(*workers, pause_s=0)
        await ask(engine, "first")  # which is lost and moved
        workers[0].pace = 20
        await asyncio.gather(*(ask(engine, f"t{n}") for n in range(6)))
        return workers[0].most_at_once, len(workers[1].requests)

    assert asyncio.run(go()) == (1, 6)


def test_before_its_time_and_where_it_is_gone_for_good_it_is_not_tried() -> None:
    for worker, pause_s in ((Worker(dies_at=0, back_at=1), 60), (Worker(dies_at=0), 0)):
        engine = spread(worker, Worker(), pause_s=pause_s)

        async def go(engine: Spread = engine) -> None:
            for n in range(4):
                await ask(engine, f"t{n}")

        asyncio.run(go())
        assert len(worker.requests) == 1


def test_an_error_of_the_request_is_not_the_engines() -> None:
    class Refusing(Worker):
        async def generate(self, *_: object, **__: object) -> Completion:  # type: ignore[override]
            raise EngineError("no such model")

    other = Worker()
    with pytest.raises(EngineError, match="no such model"):
        asyncio.run(ask(spread(Refusing(), other)))
    assert not other.requests


def test_a_loss_with_two_words_survives_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(EngineGone("gone", for_good=True)))
    assert (str(error), error.for_good) == ("gone", True)


# ── servers ──


@pytest.fixture
def second() -> Server:
    with listening(Server()) as server:
        server.answer = lambda body: (200, choice(RIGHT))
        yield server


def test_a_server_that_hangs_up_half_way_costs_no_record(
    server: Server,
    second: Server,
    model: Path,
    data: Path,
    tmp_path: Path,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-qX7vZ9kLm3Wd8RtYb5Nc")
    options = ("--samples", "4", "--temperature", "1", "--concurrency", "4")
    second.answer = lambda body: (200, choice(RIGHT)) if len(second.seen) < 3 else (HANG_UP, "")
    result = run(server, model, data, tmp_path / "out", "--base-url", second.url, *options)
    assert result.exit_code == 0, result.output
    records = read_records(tmp_path / "out" / "parallel.jsonl")
    assert [(record.index, record.sample) for record in records] == [
        (index, turn) for index in range(3) for turn in range(4)
    ]
    assert server.seen and len(second.seen) >= 3
    keys = {headers["Authorization"] for one in (server, second) for _, headers, _ in one.seen}
    assert keys == {"Bearer sk-qX7vZ9kLm3Wd8RtYb5Nc"} and "qX7vZ9" not in caplog.text
    assert "server 2 is lost, others do its work: cannot reach" in caplog.text
    assert "lost: server 2; " in caplog.text


def test_no_server_is_up(
    server: Server, second: Server, model: Path, data: Path, tmp_path: Path, pauses: list[float]
) -> None:
    server.answer = second.answer = lambda body: (HANG_UP, "")
    result = run(server, model, data, tmp_path / "out", "--base-url", second.url, "--concurrency", "1")
    assert result.exit_code == 2
    assert "none of 2 engines is left (server 1: cannot reach" in plain(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--base-url", "{url}"), "--base-url is the same twice: give each server once"),
        (("--replicas", "2"), "--replicas starts engines, --base-url names servers that are up: leave one"),
        (("--tensor-parallel-size", "2"), "--tensor-parallel-size is of --replicas: give that too"),
        (("--base-url", "http://h/v1", "--wall-clock", "1"), "--wall-clock reads the clock of one engine"),
    ],
)
def test_options_that_do_not_go_together(
    server: Server, model: Path, data: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    given = [option.format(url=server.url) for option in options]
    result = run(server, model, data, tmp_path / "out", *given)
    assert result.exit_code == 2 and message in plain(result), result.output
    assert not server.seen
