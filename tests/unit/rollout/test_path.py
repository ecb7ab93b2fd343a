"""A context is what the list would be: whatever is asked of it and whatever comes later."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_plugins.rollout.path import Context

IDS = st.lists(st.integers(0, 9), max_size=8)
BOUNDS = st.none() | st.integers(-12, 12)


@given(IDS, IDS, IDS, st.builds(slice, BOUNDS, BOUNDS, st.sampled_from([None, 1, 2, -1])))
def test_it_is_the_list_of_then(path: list[int], header: list[int], later: list[int], part: slice) -> None:
    want, context = [*path, *header], Context(path, tuple(header))
    path += later
    assert context == want and want == context and list(context) == want and len(context) == len(want)
    assert context == Context(want) and context != [*want, 1] and context != [*want[:-1], 10]
    assert context[part] == want[part]
    assert list(reversed(context)) == want[::-1]
    for index in range(-len(want), len(want)):
        assert context[index] == want[index]
    for index in (len(want), -len(want) - 1):
        with pytest.raises(IndexError):
            context[index]


def test_copies_are_lists_of_their_own() -> None:
    path = [1, 2]
    context = Context(path, (3,))
    path.append(9)
    for copied in (pickle.loads(pickle.dumps(context)), copy.deepcopy(context), context[:]):
        assert type(copied) is list and copied == [1, 2, 3]


def test_neither_hashable_nor_long_to_read() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Context([1]))
    assert repr(Context([1] * 1000, (2,))) == "<Context of 1001 ids>"
