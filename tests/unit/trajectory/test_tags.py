"""Control tokens: looked up, checked, and the injected pieces."""

from __future__ import annotations

import pickle

import pytest
from tokenizers import AddedToken, normalizers

from tests.support.fakes import EOS, char_tokenizer, control_tokens
from tw_plugins.trajectory import TAGS, ControlTokenError, ControlTokens


def test_every_tag_is_its_own_id() -> None:
    tokenizer = char_tokenizer()
    tags = ControlTokens.from_tokenizer(tokenizer)
    assert {tag: token for token, tag in tags.tag_of.items()} == {
        tag: tokenizer.convert_tokens_to_ids(tag) for tag in TAGS
    }
    assert [tags.parallel, tags.thread_end] == tokenizer.convert_tokens_to_ids(["<Parallel>", "</Thread>"])
    assert tags.eos_ids == (tokenizer.convert_tokens_to_ids(EOS),)


@pytest.mark.parametrize(
    ("number", "first", "text"), [(1, True, "\n<Thread>\n1:"), (12, False, "<Thread>\n12:")]
)
def test_header_is_encoded_piece_by_piece_and_cached(number: int, first: bool, text: str) -> None:
    tags = control_tokens()
    assert tags.decode(tags.header(number, first)) == text
    assert tags.header(number, first) is tags.header(number, first)


def test_closings() -> None:
    tags = control_tokens()
    assert tags.decode(tags.thread_close) == "\n</Thread>"
    assert tags.decode(tags.join_newline) == "\n"
    assert tags.decode([]) == ""


def test_decode_keeps_special_tokens_and_spaces() -> None:
    tags, text = control_tokens(), "<think> a , b . <Thread>\n1: don 't</Thread><|im_end|>"
    assert tags.decode(tags.encode(text)) == text


def test_conclusion_is_optional_but_only_as_a_pair() -> None:
    tags = control_tokens(char_tokenizer(tags=TAGS[:8]))
    assert (tags.conclusion, tags.conclusion_end) == (None, None)
    assert None not in tags.tag_of
    with pytest.raises(ControlTokenError, match="no token '</Conclusion>'"):
        control_tokens(char_tokenizer(tags=TAGS[:9]))


def test_a_missing_tag_is_named_with_the_remedy() -> None:
    without = [tag for tag in TAGS if tag != "</Outlines>"]
    with pytest.raises(ControlTokenError, match=r"no token .</Outlines>.\. `threadweaver data add-tokens`"):
        control_tokens(char_tokenizer(tags=without))


@pytest.mark.parametrize("extra", [[7], []])
def test_a_tag_that_is_several_ids_is_named(extra: list[int]) -> None:
    class Splitting:
        """Knows the tag, yet splits it."""

        def __init__(self) -> None:
            self.inner = char_tokenizer()

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def encode(self, text: str, **kwargs: object) -> list[int]:
            ids = self.inner.encode(text, **kwargs)
            if "<Outline>" not in text:
                return ids
            return [*extra, *ids] if extra else [8, 9]

    with pytest.raises(ControlTokenError, match=r"splits '<Outline>' into ids \[[78], \d+\]"):
        ControlTokens.from_tokenizer(Splitting())


def test_a_tag_that_is_split_only_inside_text_is_named() -> None:
    tokenizer = char_tokenizer()
    tokenizer.add_tokens([AddedToken("<Thread>", single_word=True, special=True)])
    assert len(tokenizer.encode("<Thread>", add_special_tokens=False)) == 1
    with pytest.raises(ControlTokenError, match="splits '<Thread>'"):
        ControlTokens.from_tokenizer(tokenizer)


def test_eos_ids() -> None:
    tokenizer = char_tokenizer()
    assert ControlTokens.from_tokenizer(tokenizer, eos_ids=[5, 6, 5]).eos_ids == (5, 6)
    assert ControlTokens.from_tokenizer(tokenizer, eos_ids=5).eos_ids == (5,)
    with pytest.raises(ControlTokenError, match="eos_ids is empty"):
        ControlTokens.from_tokenizer(tokenizer, eos_ids=[])
    thread_end = tokenizer.convert_tokens_to_ids("</Thread>")
    with pytest.raises(ControlTokenError, match=rf"\[{thread_end}\] are both"):
        ControlTokens.from_tokenizer(tokenizer, eos_ids=[thread_end])
    tokenizer.eos_token = None
    with pytest.raises(ControlTokenError, match="no EOS"):
        ControlTokens.from_tokenizer(tokenizer)


def test_can_travel_to_a_worker() -> None:
    tags = control_tokens()
    copy = pickle.loads(pickle.dumps(tags))
    assert copy == tags
    assert copy.header(3, True) == tags.header(3, True)


@pytest.mark.parametrize("side", ["lstrip", "rstrip"])
def test_a_tag_that_takes_white_space_with_it_is_named(side: str) -> None:
    tokenizer = char_tokenizer(tags=[tag for tag in TAGS if tag != "<Thread>"])
    tokenizer.add_tokens([AddedToken("<Thread>", special=True, **{side: True})])
    with pytest.raises(ControlTokenError, match="white space beside <Thread> is lost"):
        ControlTokens.from_tokenizer(tokenizer)


def test_a_tokenizer_that_puts_a_space_before_pieces_is_named() -> None:
    tokenizer = char_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Prepend(" ")
    with pytest.raises(ControlTokenError, match="puts something before or behind each piece"):
        ControlTokens.from_tokenizer(tokenizer)
