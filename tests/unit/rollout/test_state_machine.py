"""The state machine: what engines are asked, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.fakes import EOS, ScriptedEngine, logprobs_of
from tests.support.rollouts import FORK2, PROMPT, ROOMY, TAGS, run, text_of
from tw_plugins.rollout import Completion, Limits, fork_join
from tw_plugins.trajectory import validate_ids

# ---- one trajectory, phase by phase


def test_fork_and_join() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, " one\n</Thread>", f" two{EOS}", f"\n</Parallel>b{EOS}")
    rollout = run(engine)
    assert text_of(rollout.response_ids) == (
        f"{FORK2}\n<Thread>\n1: one\n</Thread><Thread>\n2: two\n</Thread>\n\n</Parallel>b{EOS}"
    )
    fork = "Q?" + FORK2
    joined = fork + "\n<Thread>\n1: one\n</Thread><Thread>\n2: two\n</Thread>\n"
    contexts = ["Q?", fork + "\n<Thread>\n1:", fork + "\n<Thread>\n2:", joined]
    assert [text_of(request.prompt_ids) for request in engine.requests] == contexts
    assert [text_of(call.context_ids) for call in rollout.calls] == contexts
    assert [(call.block, call.thread) for call in rollout.calls] == [
        (None, None),
        (1, 1),
        (1, 2),
        (None, None),
    ]
    assert (rollout.prompt_ids, rollout.limits_hit, rollout.malformed_forks) == (PROMPT, {}, 0)
    assert validate_ids(rollout.response_ids, TAGS) == []


def test_what_the_engine_is_asked() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, "1</Thread>", "2</Thread>", EOS)
    run(engine, request_id="id", request_id_per_thread=True)
    [eos] = TAGS.eos_ids
    outer, inner = [TAGS.outlines_end, eos], [TAGS.thread_end, eos]
    assert [request.stop_token_ids for request in engine.requests] == [outer, inner, inner, outer]
    assert [request.request_id for request in engine.requests] == ["id", "id-1-1", "id-1-2", "id"]
    assert [request.max_tokens for request in engine.requests[:3]] == [2000, 100, 100]


def test_one_request_id_per_trajectory_by_default() -> None:
    engines = [ScriptedEngine.from_texts(TAGS, FORK2, "1</Thread>", "2</Thread>", EOS) for _ in range(2)]
    names = []
    for engine in engines:
        run(engine)
        names.append({request.request_id for request in engine.requests})
    assert [len(name) for name in names] == [1, 1]
    assert names[0] != names[1]


def test_logprobs_reasons_and_versions_are_kept() -> None:
    replies = [
        Completion(TAGS.encode(FORK2), None, "stop", 3),
        Completion(TAGS.encode("1</Thread>"), [-1.0, -2.0], "stop", 3),
        Completion(TAGS.encode("2"), [-3.0], "length", 4),
        Completion(TAGS.encode(EOS), [-4.0], "stop", "v5"),
    ]
    assert [call.completion for call in run(ScriptedEngine(replies)).calls] == replies


def test_autoregressive_is_one_plain_request() -> None:
    engine = ScriptedEngine.from_texts(TAGS, f"{FORK2}<Thread>1: x</Thread>{EOS}")
    rollout = run(engine, mode="autoregressive")
    assert rollout.mode == "autoregressive"
    assert engine.requests[0].stop_token_ids == list(TAGS.eos_ids)
    assert [call.completion.token_ids for call in rollout.calls] == [rollout.response_ids]
    assert rollout.limits_hit == {}


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="mode is 'serial'"):
        run(ScriptedEngine([]), mode="serial")


# ---- forks that are not made


@pytest.mark.parametrize(
    "segment",
    [
        "</Outlines>",
        "<Outlines><Outline>1: x</Outline></Outlines>",
        "<Parallel><Outlines></Outlines>",
        "<Parallel><Outlines><Outline>2: x</Outline></Outlines>",
        "<Parallel><Outlines><Outline>1: x</Outline><Outline>1: x</Outline></Outlines>",
        "<Parallel><Outlines><Outline>1: x</Outline></Parallel></Outlines>",
        "<Parallel>oops<Outlines><Outline>1: x</Outline></Outlines>",
    ],
)
def test_a_malformed_fork_goes_on_sequentially(segment: str) -> None:
    engine = ScriptedEngine.from_texts(TAGS, segment, f"b{EOS}")
    rollout = run(engine)
    assert text_of(rollout.response_ids) == f"{segment}b{EOS}"
    assert (rollout.malformed_forks, rollout.limits_hit) == (1, {})


def test_a_stray_closing_does_not_read_an_older_block_again() -> None:
    engine = ScriptedEngine.from_texts(
        TAGS, FORK2, "1</Thread>", "2</Thread>", "</Outlines>", FORK2, *"34", EOS
    )
    rollout = run(engine)
    assert (rollout.malformed_forks, rollout.calls[-1].block, rollout.calls[-2].block) == (1, None, 2)


def test_only_the_block_just_opened_is_read() -> None:
    engine = ScriptedEngine.from_texts(TAGS, "<Parallel>junk" + FORK2, "1</Thread>", "2</Thread>", EOS)
    assert [call.thread for call in run(engine).calls] == [None, 1, 2, None]


def test_a_fork_that_is_too_wide_is_counted() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, f"b{EOS}")
    rollout = run(engine, Limits(max_tokens=2000, max_threads=1))
    assert (rollout.limits_hit, rollout.malformed_forks, len(rollout.calls)) == ({"max_threads": 1}, 0, 2)


def test_a_fork_without_room_beside_the_reserve_is_counted() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, f"b{EOS}")
    rollout = run(engine, Limits(max_tokens=len(TAGS.encode(FORK2)) + 40, answer_reserve=25))
    assert (rollout.limits_hit, len(rollout.calls)) == ({"answer_reserve": 1}, 2)


def test_after_max_blocks_the_tag_no_longer_stops() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, "1</Thread>", "2</Thread>", f"{FORK2}{FORK2}c{EOS}")
    rollout = run(engine, Limits(max_tokens=2000, max_blocks=1))
    assert engine.requests[-1].stop_token_ids == list(TAGS.eos_ids)
    assert rollout.limits_hit == {"max_blocks": 2}


def test_no_fork_is_missed_where_nothing_had_room_to_write_one() -> None:
    engine = ScriptedEngine.from_texts(TAGS, "a</Outlines>")
    rollout = run(engine, Limits(max_tokens=2, max_blocks=1, answer_reserve=0))
    assert (rollout.limits_hit, rollout.malformed_forks) == ({"max_tokens": 1}, 1)


def test_an_engine_may_leave_the_stop_token_out() -> None:
    replies = [FORK2.removesuffix("</Outlines>"), " one\n", " two\n", "\n</Parallel>b"]
    rollout = run(ScriptedEngine.from_texts(TAGS, *replies))
    assert "</Outlines>\n<Thread>\n1: one\n\n</Thread><Thread>\n2: two\n\n</Thread>\n" in text_of(
        rollout.response_ids
    )
    assert text_of(rollout.response_ids).endswith("</Parallel>b")
    assert rollout.limits_hit == {}


@pytest.mark.parametrize("segment", ["b", "<Parallel>b", FORK2.removesuffix("2: y</Outline>\n</Outlines>")])
def test_a_stop_left_out_elsewhere_is_the_end(segment: str) -> None:
    rollout = run(ScriptedEngine.from_texts(TAGS, segment))
    assert (text_of(rollout.response_ids), len(rollout.calls), rollout.malformed_forks) == (segment, 1, 0)


def test_a_body_keeps_the_control_tokens_it_sampled() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, "<Parallel></Outlines></Thread>", f"</Thread>{EOS}", EOS)
    text = text_of(run(engine).response_ids)
    assert "1:<Parallel></Outlines></Thread><Thread>\n2:</Thread>\n" in text


# ---- limits


def test_threads_share_what_the_reserve_leaves() -> None:
    limits = Limits(max_tokens=200, max_thread_tokens=100, answer_reserve=30)
    engine = ScriptedEngine.from_texts(TAGS, FORK2, "x" * 500, f"y{EOS}", EOS)
    rollout = run(engine, limits)
    # injected: "\n<Thread>\n1:" 5, "<Thread>\n2:" 4, twice "\n</Thread>" 4, "\n" 1
    share = (200 - len(TAGS.encode(FORK2)) - 30 - 14) // 2
    assert [request.max_tokens for request in engine.requests[1:3]] == [share, share]
    assert len(rollout.calls[1].completion.token_ids) == share
    assert rollout.limits_hit == {"answer_reserve": 1}
    assert engine.requests[3].max_tokens >= 30


def test_a_long_thread_is_closed_and_the_trajectory_goes_on() -> None:
    engine = ScriptedEngine.from_texts(TAGS, FORK2, "x" * 101, "y" * 100, f"</Parallel>b{EOS}")
    rollout = run(engine)
    assert rollout.limits_hit == {"max_thread_tokens": 2}
    assert f"1:{'x' * 100}\n</Thread><Thread>\n2:{'y' * 100}\n</Thread>\n" in text_of(rollout.response_ids)
    assert text_of(rollout.response_ids).endswith(f"b{EOS}")


@pytest.mark.parametrize("mode", ["parallel", "autoregressive"])
def test_max_tokens_cuts_a_segment(mode: str) -> None:
    rollout = run(ScriptedEngine([TAGS.encode("x" * 50)]), Limits(max_tokens=20, answer_reserve=0), mode=mode)
    [call] = rollout.calls
    assert (text_of(rollout.response_ids), call.completion.finish_reason) == ("x" * 20, "length")
    assert call.completion.logprobs == logprobs_of(TAGS.encode("x" * 50))[:20]
    assert rollout.limits_hit == {"max_tokens": 1}


def test_an_abort_keeps_the_tokens_and_ends() -> None:
    fork, aborted = TAGS.encode(FORK2), Completion(TAGS.encode("ab"), None, "abort")
    rollout = run(ScriptedEngine([fork, aborted, TAGS.encode("2</Thread>")]))
    assert text_of(rollout.response_ids).endswith("1:ab\n</Thread><Thread>\n2:2</Thread>\n")
    assert rollout.limits_hit == {"abort": 1}
    rollout = run(ScriptedEngine([aborted]), Limits(max_tokens=1, answer_reserve=0))
    assert (text_of(rollout.response_ids), rollout.limits_hit) == ("a", {"abort": 1})
    rollout = run(ScriptedEngine([aborted]))
    assert (text_of(rollout.response_ids), rollout.limits_hit) == ("ab", {"abort": 1})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_thread_tokens": -1}, "max_thread_tokens"),
        ({"max_threads": 0}, "max_threads"),
        ({"max_threads": 51}, "at most 50"),
        ({"max_blocks": -1}, "max_blocks"),
        ({"answer_reserve": -1}, "answer_reserve"),
        ({"max_tokens": 512}, r"answer_reserve \(512\) must be below max_tokens \(512\)"),
    ],
)
def test_limits_check_themselves(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(**fields)


def test_a_completion_checks_its_logprobs() -> None:
    with pytest.raises(ValueError, match="2 token ids but 1 logprobs"):
        Completion([1, 2], [-1.0], "stop")


# ---- siblings run at once, and end together


@dataclass
class Gate:
    """Threads wait until ``width`` are there; then thread ``failing`` raises and the others wait for ever."""

    width: int
    failing: int | None
    here: int = 0
    cancelled: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        if TAGS.thread_end not in stop_token_ids:
            return Completion(TAGS.encode(FORK2 if self.here == 0 else EOS), None, "stop")
        self.here += 1
        number = self.here
        if self.here == self.width:
            self.opened.set()
        try:
            await self.opened.wait()
            if number == self.failing:
                raise ConnectionError("engine died")
            await asyncio.sleep(0 if self.failing is None else 3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Completion([TAGS.thread_end], None, "stop")


def test_siblings_run_at_once() -> None:
    assert len(run(Gate(width=2, failing=None)).calls) == 4


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failing_thread_cancels_its_siblings_and_its_exception_is_raised(failing: int) -> None:
    gate = Gate(width=2, failing=failing)
    with pytest.raises(ConnectionError, match="engine died"):
        run(gate)
    assert gate.cancelled == 1


def test_cancelling_a_rollout_cancels_its_threads() -> None:
    async def cancel() -> Gate:
        gate = Gate(width=2, failing=-1)
        task = asyncio.create_task(fork_join(gate, PROMPT, TAGS, ROOMY))
        await gate.opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return gate

    assert asyncio.run(cancel()).cancelled == 2


def test_an_exception_in_a_segment_is_raised() -> None:
    with pytest.raises(ConnectionError, match="gone"):
        run(ScriptedEngine([ConnectionError("gone")]))
