"""The grammar: codes and positions, text and ids alike, against an obvious regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import char_tokenizer, control_tokens
from tw_plugins.trajectory import (
    Block,
    FormatCode,
    Outline,
    Thread,
    Trajectory,
    TrajectoryError,
    outline_numbers,
    parse,
    render,
    validate,
    validate_ids,
)

TAGS = control_tokens()
TAG = "</?(?:Parallel|Outlines|Outline|Thread|Conclusion)>"
BODY = rf"(?:(?!{TAG}|</?think>)[\s\S])*"
BLOCK = re.compile(
    rf"<Parallel>\s*<Outlines>\s*(?P<outlines>(?:<Outline>\s*[1-9]\d*:{BODY}</Outline>\s*)+)</Outlines>\s*"
    rf"(?P<threads>(?:<Thread>\s*[1-9]\d*:{BODY}</Thread>\s*)+)(?:<Conclusion>{BODY}</Conclusion>\s*)?</Parallel>"
)
GOOD = (
    "<think>a\n<Parallel>\n<Outlines>\n<Outline>1: x</Outline>\n<Outline>2: y</Outline>\n</Outlines>\n"
    "<Thread>\n1: xx\n</Thread><Thread>\n2: y\ny\n</Thread>\n</Parallel>\nb</think>c"
)


def by_regex(text: str) -> bool:
    """Well-formed, said in another way: cut all good blocks out, then no tag may be left."""
    for match in BLOCK.finditer(text):
        outlines = [int(n) for n in re.findall(r"<Outline>\s*(\d+):", match["outlines"])]
        threads = [int(n) for n in re.findall(r"<Thread>\s*(\d+):", match["threads"])]
        if outlines != list(range(1, len(outlines) + 1)) or threads != outlines or len(outlines) > 50:
            return False
        before = re.findall("</?think>", text[: match.start()])
        if before[-1:] == ["</think>"] or (not before and "<think>" in re.findall("</?think>", text)[:1]):
            return False
    return not re.search(TAG, BLOCK.sub("", text))


def codes(text: str) -> list[FormatCode]:
    return [error.code for error in validate(text)]


def block(outlines: str, threads: str) -> str:
    return f"<Parallel><Outlines>{outlines}</Outlines>{threads}</Parallel>"


def outline(number: object) -> str:
    return f"<Outline>{number}: o</Outline>"


def thread(number: object) -> str:
    return f"<Thread>\n{number}: t\n</Thread>"


def test_parse_reads_text_blocks_and_bodies() -> None:
    good = Block((Outline(1, "x"), Outline(2, "y")), (Thread(1, "xx"), Thread(2, "y\ny")))
    assert parse(GOOD) == Trajectory(("<think>a\n", good, "\nb</think>c"))
    assert parse(GOOD).blocks == (good,)
    assert render(parse(GOOD)) == GOOD


def test_parse_accepts_the_papers_thread_form_and_a_conclusion() -> None:
    text = block(outline(1), "<Thread>1: t</Thread><Conclusion>c</Conclusion>")
    assert parse(text).blocks[0] == Block((Outline(1, "o"),), (Thread(1, "t"),), "c")


@pytest.mark.parametrize("text", ["", "no block", "<think>x", "a</think>b", "a < b <Threads>"])
def test_text_without_a_block_is_well_formed(text: str) -> None:
    assert validate(text) == []
    assert parse(text) == Trajectory((text,) if text else ())


@pytest.mark.parametrize(
    ("marked", "code"),
    [
        ("ab@</Thread>", FormatCode.UNEXPECTED_TAG),
        ("<Parallel>@<Thread></Parallel>", FormatCode.UNEXPECTED_TAG),
        (f"<Parallel><Outlines>{outline(1)}</Outlines>@</Parallel>", FormatCode.UNEXPECTED_TAG),
        ("a@<Parallel>", FormatCode.UNCLOSED),
        ("<Parallel>@" + block(outline(1), thread(1)), FormatCode.NESTED_BLOCK),
        (block(outline(1), "<Thread>1: @<Outline></Thread>"), FormatCode.TAG_IN_BODY),
        (block(outline(1) + "@!", thread(1)), FormatCode.STRAY_TEXT),
        (block(outline(1), thread(1) + "@!"), FormatCode.STRAY_TEXT),
        (block("@<Outline>one</Outline>", thread(1)), FormatCode.MISSING_NUMBER),
        (block("@" + outline("01"), thread(1)), FormatCode.MISSING_NUMBER),
        (block("@" + outline("9" * 5000), thread(1)), FormatCode.MISSING_NUMBER),
        (block(outline(1), "@<Thread></Thread>"), FormatCode.MISSING_NUMBER),
        (f"<Parallel><Outlines>{outline(2)}@</Outlines>{thread(2)}</Parallel>", FormatCode.OUTLINE_NUMBERS),
        (f"<Parallel><Outlines>{outline(1)}</Outlines>{thread(2)}@</Parallel>", FormatCode.THREAD_NUMBERS),
        (block(outline(1) + outline(2), thread(1))[:-11] + "@</Parallel>", FormatCode.THREAD_NUMBERS),
        ("x</think>@" + block(outline(1), thread(1)), FormatCode.OUTSIDE_THINK),
        ("x@" + block(outline(1), thread(1)) + "<think>", FormatCode.OUTSIDE_THINK),
        (block(outline(1), "<Thread>1:@</think></Thread>"), FormatCode.THINK_IN_BLOCK),
    ],
)
def test_errors_have_code_and_position(marked: str, code: FormatCode) -> None:
    """``@`` stands where the error must be."""
    errors = validate(marked.replace("@", ""))
    assert [(error.code, error.position) for error in errors] == [(code, marked.index("@"))]


def test_a_response_may_begin_inside_think() -> None:
    assert validate(GOOD.removeprefix("<think>")) == []
    assert validate(GOOD.removeprefix("<think>") + "<think>again</think>") == []


def test_empty_outlines_and_too_many_threads() -> None:
    assert (
        codes("<Parallel><Outlines></Outlines>" + thread(1) + "</Parallel>")[0] is FormatCode.OUTLINE_NUMBERS
    )
    numbers = range(1, 52)
    assert codes(block("".join(map(outline, numbers)), "".join(map(thread, numbers)))) == ["too_many_threads"]


def test_an_error_in_one_block_does_not_hide_the_next() -> None:
    bad = block(outline(1), "<Thread>1: <Outline></Thread>" + thread(7))
    assert codes(bad + GOOD[7:-9] + "<Parallel>") == ["tag_in_body", "unclosed"]


def test_parse_and_render_raise_with_every_reason() -> None:
    with pytest.raises(
        TrajectoryError, match=r"outlines are numbered \[2\].*position 43.*and 1 more"
    ) as caught:
        parse(block(outline(2), thread(1)))
    assert [error.code for error in caught.value.errors] == ["outline_numbers", "thread_numbers"]
    with pytest.raises(TrajectoryError, match="tag_in_body"):
        render(Trajectory((Block((Outline(1, "o"),), (Thread(1, "<Parallel"), Thread(2, "</Outline>"))),)))


PIECES = [
    *(
        "<Parallel>",
        "</Parallel>",
        "<Outlines>",
        "</Outlines>",
        "<Outline>",
        "</Outline>",
        "<Thread>",
        "</Thread>",
    ),
    *("<Conclusion>", "</Conclusion>", "<think>", "</think>", "1:", "2: a", "\n", " x"),
    *(GOOD, block(outline(1), thread(1)), outline(1), thread(1), outline(2), thread(2)),
    *(
        "<Parallel>\n<Outlines>" + outline(1),
        outline(2) + "</Outlines>",
        "</Outlines>" + thread(1),
        "</Parallel>\n",
    ),
]
STREAMS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(max_examples=500, deadline=None)
@given(STREAMS)
def test_validate_agrees_with_a_regular_expression(text: str) -> None:
    assert (not validate(text)) == by_regex(text)


@settings(max_examples=200, deadline=None)
@given(STREAMS)
def test_ids_are_judged_like_text(text: str) -> None:
    ids = TAGS.encode(text)
    offsets = [len(TAGS.decode(ids[:index])) for index in range(len(ids))]
    by_id = [(code, message, offsets[position]) for code, message, position in validate_ids(ids, TAGS)]
    assert by_id == [tuple(error) for error in validate(text)]


BODIES = st.text("ab <>/:1\n", max_size=8)
BLOCKS = st.lists(st.tuples(BODIES, BODIES), min_size=1, max_size=4).flatmap(
    lambda bodies: st.builds(
        Block,
        st.just(tuple(Outline(number, body) for number, (body, _) in enumerate(bodies, 1))),
        st.just(tuple(Thread(number, body) for number, (_, body) in enumerate(bodies, 1))),
        st.none() | BODIES,
    )
)


@settings(max_examples=200, deadline=None)
@given(st.lists(BLOCKS, max_size=3), st.lists(BODIES.filter(bool), min_size=4, max_size=4))
def test_parse_is_the_inverse_of_render(blocks: list[Block], texts: list[str]) -> None:
    parts: list[str | Block] = [texts[0]]
    for text, part in zip(texts[1:], blocks, strict=False):
        parts += [part, text]
    trajectory = Trajectory(tuple(parts))
    assert parse(render(trajectory)) == trajectory


def test_a_tag_spelled_in_ordinary_ids_is_an_error_at_its_first_id() -> None:
    plain = char_tokenizer(tags=())
    spelled = plain.encode("ab<Thread>c", add_special_tokens=False)
    assert [(e.code, e.position) for e in validate_ids(spelled, TAGS)] == [(FormatCode.SPELLED_TAG, 2)]
    assert validate("ab<Thread>c")[0].code is FormatCode.UNEXPECTED_TAG


def test_think_tags_of_several_ids_are_found() -> None:
    tags = control_tokens(char_tokenizer(extra=()))
    ids = tags.encode("abc</think>" + block(outline(1), thread(1)))
    assert len(tags.encode("</think>")) == 8
    assert [(e.code, e.position) for e in validate_ids(ids, tags)] == [(FormatCode.OUTSIDE_THINK, 11)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("<Parallel>\n<Outlines>\n" + outline(1) + "\n" + outline(2) + "\n</Outlines>", [1, 2]),
        ("<Parallel><Outlines>" + "".join(map(outline, range(1, 61))) + "</Outlines>", list(range(1, 61))),
        ("<Parallel><Outlines></Outlines>", None),
        ("<Parallel><Outlines>" + outline(1) + outline(3) + "</Outlines>", None),
        ("<Parallel><Outlines>" + outline(2) + outline(1) + "</Outlines>", None),
        ("<Parallel><Outlines>" + outline(1) + "</Outlines><Outlines>" + outline(2) + "</Outlines>", None),
        ("<Parallel><Outlines><Outline>1: <Thread></Outline></Outlines>", None),
        ("<Parallel><Outlines>" + outline(1), None),
        (GOOD[8:-11], None),
    ],
)
def test_outline_numbers(text: str, numbers: list[int] | None) -> None:
    assert outline_numbers(TAGS.encode(text), TAGS) == numbers
