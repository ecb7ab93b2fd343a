"""What the terminal shows of a trajectory, while it grows and in the end."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.support.fakes import EOS, ScriptedEngine, control_tokens
from tests.support.records import CLOSE, OPEN, THREADS
from tests.support.servers import Server, choice
from tw_plugins.cli.app import app
from tw_plugins.cli.rollout import LiveTrajectory, Part, summary_line
from tw_plugins.rollout import Limits, Piece, Place, Rollout, fork_join

TAGS = control_tokens()
LIMITS = Limits(max_tokens=400, max_thread_tokens=100, answer_reserve=50)


class Growing:
    """Streams what another engine would answer, a token at a time; `seen` is drawn after each."""

    def __init__(self, *texts: str) -> None:
        self.engine = ScriptedEngine.from_texts(TAGS, *texts)
        self.trajectory = LiveTrajectory(TAGS)
        self.seen: list[str] = []

    async def generate(self, prompt_ids: Sequence[int], **asked: Any) -> Any:
        raise AssertionError("it streams")

    async def stream(self, prompt_ids: Sequence[int], **asked: Any) -> AsyncGenerator[Piece, None]:
        whole = await self.engine.generate(prompt_ids, **asked)
        for token in whole.token_ids:
            self.seen.append(drawn(self.trajectory))
            yield Piece([token])
        yield Piece([], None, whole.finish_reason)

    async def decode(self, limits: Limits = LIMITS) -> Rollout:
        return await fork_join(self, TAGS.encode("p"), TAGS, limits, watch=self.trajectory)


def drawn(what: Any) -> str:
    console = Console(width=60, color_system=None, file=io.StringIO())
    with console.capture() as captured:
        console.print(what)
    return captured.get()


async def test_threads_stand_side_by_side_between_sequential_text() -> None:
    engine = Growing(OPEN, *THREADS, CLOSE)
    rollout = await engine.decode()
    assert [part.place for part in engine.trajectory.parts] == [(0, None), (1, 1), (1, 2), (1, None)]
    assert all(part.done for part in engine.trajectory.parts)
    lines = drawn(engine.trajectory.view()).splitlines()
    titles = [line for line in lines if "thread 1" in line]
    assert len(titles) == 1 and "thread 2" in titles[0]
    assert sum("aa" in line and "bbbb" in line for line in lines) == 1
    outline, threads, answer = (
        next(i for i, line in enumerate(lines) if text in line)
        for text in ("<Outline>2: b", "thread 1", "boxed{7}")
    )
    assert outline < threads < answer
    total = sum(len(call.completion.token_ids) for call in rollout.calls)
    assert summary_line(rollout).startswith(f"{total} tokens, ")
    assert summary_line(rollout).endswith("1 fork, 2 threads · no limit hit")


async def test_it_grows() -> None:
    engine = Growing("\\boxed{7}" + EOS)
    await engine.decode()
    assert [text.strip() for text in engine.seen[:4]] == ["", "\\", "\\b", "\\bo"]


async def test_while_it_grows_only_the_end_is_drawn_and_markup_is_text() -> None:
    text = "\n".join(f"[red]{n}" for n in range(30))
    engine = Growing(text + EOS)
    await engine.decode()
    assert len(drawn(engine.trajectory).splitlines()) == 12
    whole = drawn(engine.trajectory.view())
    assert len(whole.splitlines()) == 30 and "[red]29" in whole


async def test_what_a_model_says_is_wrapped_not_cut() -> None:
    engine = Growing("q" * 130 + EOS)
    engine.trajectory.parts.append(Part(Place(1, 1), TAGS.encode("z" * 130)))
    await engine.decode()
    shown = drawn(engine.trajectory.view())
    assert (shown.count("q"), shown.count("z"), "…" in shown) == (130, 130, False)


async def test_limits_are_named() -> None:
    limits = Limits(max_tokens=400, max_thread_tokens=50, answer_reserve=50)
    engine = Growing(OPEN, " " + "a" * 49, THREADS[1], CLOSE)
    rollout = await engine.decode(limits)
    assert "limits hit: max_thread_tokens, 1×" in summary_line(rollout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt", " "], "--prompt is empty"),
        (
            ["--mode", "both"],
            "--mode is 'both': choose parallel or autoregressive, one trajectory has one mode",
        ),
        (
            ["--mode", "foo"],
            "--mode is 'foo': choose parallel or autoregressive, one trajectory has one mode",
        ),
    ],
)
def test_bad_options_are_named(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["rollout", "--model", "m", "--prompt", "p", *options])
    assert result.exit_code == 2 and message in result.output


def test_on_a_server(server: Server, model: Path) -> None:
    """Threads stand side by side there too; each is drawn when it is whole."""

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        prompt = TAGS.decode(body["prompt"])
        if TAGS.thread_end in body["stop_token_ids"]:
            return 200, choice(TAGS.encode(THREADS[int(prompt[-2]) - 1]))
        return 200, choice(TAGS.encode(CLOSE if "</Thread>" in prompt else OPEN))

    server.answer = answer
    options = ["--model", str(model), "--prompt", "p", "--base-url", server.url, "--max-tokens", "300"]
    result = CliRunner().invoke(app, ["rollout", *options, "--served-model-name", "m"])
    assert result.exit_code == 0, result.output
    (titles,) = (line for line in result.output.splitlines() if "thread 1" in line)
    assert "thread 2" in titles and "1 fork, 2 threads · no limit hit" in result.output
    assert {body["model"] for _, _, body in server.seen} == {"m"}
    refused = CliRunner().invoke(app, ["rollout", *options, "--seed", "1"])
    assert refused.exit_code == 2 and "--seed is for vLLM in this process" in refused.output
