"""The agent loop, built and called as verl's worker does it, on engines without a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.support.fakes import ScriptedEngine, StoryEngine, char_tokenizer, logprobs_of
from tests.support.verl.loops import TAGS, TOKENIZER, Client, build, run, script
from tw_plugins.rollout import Engine
from tw_plugins.trie import Branch, position_ids_from_branches
from verl_ext.agent_loop import PromptTooLong
from verl_ext.settings import KEY

Toy = dict[str, Path]
FORK = "<Parallel>\n<Outlines>\n<Outline>1: x</Outline>\n<Outline>2: y</Outline>\n</Outlines>"
REPLIES = [FORK, " one\n</Thread>", " two\n</Thread>", "</Parallel>\ndone<|im_end|>"]
VERSIONS = [(3, 3), (3, 4), (4, 4), (4, 5)]


def sampled(client: Client) -> list[int]:
    return [token for reply in client.engine.replies for token in reply]


async def test_a_trajectory_is_one_row(toy: Toy) -> None:
    client = Client(script(*REPLIES))
    (output,) = await run(client, toy)
    joined = f"{FORK}\n<Thread>\n1: one\n</Thread><Thread>\n2: two\n</Thread>\n</Parallel>\ndone<|im_end|>"
    text = TOKENIZER.decode(output.response_ids)
    assert TOKENIZER.decode(output.prompt_ids) == "1+1?"
    assert text == f"{joined}\n<Thread>\n2: two\n</Thread>"
    assert output.extra_fields["threadweaver"]["text"] == joined
    trained = [t for t, on in zip(output.response_ids, output.response_mask, strict=True) if on]
    assert sorted(trained) == sorted(sampled(client))
    row = output.extra_fields["threadweaver_row"]
    assert row["length"] == len(output.prompt_ids) + len(output.response_ids)
    ((start, fork, length),) = row["branches"]
    assert TOKENIZER.decode(output.response_ids[start - 4 :]) == "\n<Thread>\n2: two\n</Thread>"
    assert (fork, length) == (4 + len(TAGS.encode(FORK)), row["length"] - start)


async def test_logprobs_lie_on_their_tokens(toy: Toy) -> None:
    client = Client(script(*REPLIES))
    (output,) = await run(client, toy)
    assert output.response_logprobs is not None
    pairs = zip(output.response_ids, output.response_logprobs, output.response_mask, strict=True)
    got = sorted((token, logprob) for token, logprob, on in pairs if on)
    assert [
        logprob for logprob, on in zip(output.response_logprobs, output.response_mask, strict=True) if not on
    ]
    assert got == sorted(
        pair for reply in client.engine.replies for pair in zip(reply, logprobs_of(reply), strict=True)
    )


async def test_without_logprobs_there_are_none(toy: Toy) -> None:
    (output,) = await run(Client(script(*REPLIES), with_logprobs=False), toy)
    assert output.response_logprobs is None and "rollout_log_probs" not in output.as_dict()


async def test_one_row_per_request(toy: Toy) -> None:
    client = Client(script(*REPLIES))
    outputs = await run(client, toy, f"{KEY}.layout=rows")
    assert len(outputs) == 4
    for output, call, reply in zip(outputs, client.calls, client.engine.replies, strict=True):
        assert output.prompt_ids == call["prompt"]
        assert output.response_ids == reply and output.response_mask == [1] * len(reply)
        assert output.extra_fields["threadweaver_row"]["branches"] == []
        assert output.extra_fields["threadweaver"] == outputs[0].extra_fields["threadweaver"]


async def test_autoregressive_mode_is_one_plain_request(toy: Toy) -> None:
    client = Client(script(f"{FORK} as it stands<|im_end|>"))
    (output,) = await run(client, toy, f"{KEY}.mode=autoregressive")
    assert client.calls[0]["stop_token_ids"] == list(TAGS.eos_ids)
    assert output.extra_fields["threadweaver"]["mode"] == "autoregressive"
    assert output.extra_fields["threadweaver_row"]["branches"] == []
    assert output.response_mask == [1] * len(client.engine.replies[0])


@pytest.mark.parametrize("layout", ["trie", "rows"])
async def test_random_stories_keep_their_ids(toy: Toy, layout: str) -> None:
    """Ids are never decoded and encoded: the same tokens, each trained once, and verl can store the row."""
    for seed in range(5):
        engine: Engine = StoryEngine(seed, TAGS, eos_rate=0.3)
        client = Client(engine)
        outputs = await run(client, toy, f"{KEY}.layout={layout}", "data.max_response_length=2000")
        replies = await replay(StoryEngine(seed, TAGS, eos_rate=0.3), client)
        got = [
            token
            for output in outputs
            for token, on in zip(output.response_ids, output.response_mask, strict=True)
            if on
        ]
        assert sorted(got) == sorted(token for reply in replies for token in reply)
        for output in outputs:
            row = output.extra_fields["threadweaver_row"]
            branches = [Branch(*branch) for branch in row["branches"]]
            assert len(position_ids_from_branches(row["length"], branches)) == row["length"]
            stored = output.as_dict()
            assert (
                stored["responses"].shape
                == stored["response_mask"].shape
                == stored["rollout_log_probs"].shape
            )


async def replay(engine: Engine, client: Client) -> list[list[int]]:
    """What a fresh engine answers to the same requests."""
    replies = []
    for call in client.calls:
        completion = await engine.generate(
            call["prompt"],
            stop_token_ids=call["stop_token_ids"],
            max_tokens=call["max_tokens"],
            request_id=call["id"],
        )
        replies.append(list(completion.token_ids))
    return replies


# ---------------------------------------------------------------- requests


async def test_each_request_has_its_stops_and_budget(toy: Toy) -> None:
    client = Client(script(*REPLIES))
    await run(client, toy, f"{KEY}.max_thread_tokens=50")
    assert [call["temperature"] for call in client.calls] == [0.7] * 4
    stops = [call["stop_token_ids"][0] for call in client.calls]
    assert stops == [TAGS.outlines_end, TAGS.thread_end, TAGS.thread_end, TAGS.outlines_end]
    assert client.calls[0]["max_tokens"] == 768  # data.max_response_length
    assert client.calls[1]["max_tokens"] == client.calls[2]["max_tokens"] == 50


@pytest.mark.parametrize(("request_ids", "different"), [("trajectory", 1), ("thread", 3)])
async def test_request_ids(toy: Toy, request_ids: str, different: int) -> None:
    """One per trajectory keeps the prefix cache; one per thread spreads them over replicas."""
    client = Client(script(*REPLIES))
    await run(client, toy, f"{KEY}.request_ids={request_ids}")
    assert len({call["id"] for call in client.calls}) == different


async def test_two_trajectories_have_different_request_ids(toy: Toy) -> None:
    clients = [Client(script(*REPLIES)) for _ in range(2)]
    for client in clients:
        await run(client, toy)
    assert clients[0].calls[0]["id"] != clients[1].calls[0]["id"]


async def test_weight_versions_of_every_call(toy: Toy) -> None:
    (output,) = await run(Client(script(*REPLIES), versions=VERSIONS), toy)
    fields = output.extra_fields
    assert (fields["min_global_steps"], fields["max_global_steps"]) == (3, 5)
    assert fields["call_versions"] == [list(version) for version in VERSIONS]


# ---------------------------------------------------------------- what can go wrong


async def test_a_long_prompt_is_an_error_not_cut(toy: Toy) -> None:
    client = Client(script(*REPLIES))
    with pytest.raises(
        PromptTooLong, match=r"300 tokens, data\.max_prompt_length is 256: raise it, or set .*xxx"
    ):
        await run(client, toy, prompt="x" * 300)
    assert client.calls == []


@pytest.mark.parametrize("layout", ["trie", "rows"])
async def test_an_empty_answer_trains_nothing(toy: Toy, layout: str) -> None:
    (output,) = await run(Client(script("")), toy, f"{KEY}.layout={layout}")
    assert (output.response_ids, output.response_mask) == ([TAGS.eos_ids[0]], [0])
    assert output.response_logprobs in (None, [0.0])
    assert output.extra_fields["threadweaver_row"]["length"] == len(output.prompt_ids) + 1
    assert output.extra_fields["threadweaver"]["total"] == 0


@pytest.mark.parametrize("reason", ["abort", "aborted"])
async def test_an_abort_keeps_its_tokens_and_ends(toy: Toy, reason: str) -> None:
    client = Client(script("half an ans"), reasons={0: reason})
    (output,) = await run(client, toy)
    assert TOKENIZER.decode(output.response_ids) == "half an ans"
    assert output.response_mask == [1] * 11
    assert output.extra_fields["threadweaver"]["limit_abort"] == 1
    assert len(client.calls) == 1


async def test_stop_reasons_are_read_from_the_ids(toy: Toy) -> None:
    """Engines name theirs differently; the last id does not lie."""
    client = Client(script(*REPLIES), reasons=dict.fromkeys(range(4), "length"))
    (output,) = await run(client, toy)
    assert output.extra_fields["threadweaver"]["limits_hit"] == 0
    assert output.extra_fields["threadweaver"]["blocks"] == 1


async def test_a_cut_answer_is_counted(toy: Toy) -> None:
    (output,) = await run(Client(script("x" * 40)), toy, f"{KEY}.max_tokens=40", f"{KEY}.mode=autoregressive")
    assert output.extra_fields["threadweaver"]["limit_max_tokens"] == 1
    assert len(output.response_ids) == 40


async def test_an_engines_error_comes_through(toy: Toy) -> None:
    engine = ScriptedEngine([RuntimeError("the server died")])
    with pytest.raises(RuntimeError, match="the server died"):
        await run(Client(engine), toy)


def test_the_tokenizer_is_read_once(toy: Toy) -> None:
    """verl builds a loop for every trajectory."""
    loops = [build(Client(script()), toy) for _ in range(2)]
    assert loops[0].tags is loops[1].tags


def test_a_tokenizer_without_tags_is_named(toy: Toy) -> None:
    bare = char_tokenizer([])
    bare.chat_template = TOKENIZER.chat_template
    with pytest.raises(Exception, match="no token '<Parallel>'"):
        build(Client(script()), toy, tokenizer=bare)


def test_the_toys_own_tokenizer_works(toy: Toy) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    assert build(Client(script()), toy, tokenizer=tokenizer).limits.max_tokens == 768
