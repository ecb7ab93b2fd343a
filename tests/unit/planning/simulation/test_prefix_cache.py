"""A cache of 100 tokens in blocks of 10, by hand."""

from __future__ import annotations

import pytest

from tw_plugins.planning.simulation.prefix_cache import PrefixCache


@pytest.fixture
def cache() -> PrefixCache:
    return PrefixCache(100, 10)


def test_the_next_request_finds_the_path_in_whole_blocks(cache: PrefixCache) -> None:
    assert cache.take("a", 25, 10) == 0
    cache.give_back("a", 10, 35)
    assert cache.take("a", 60, 10) == 30
    cache.give_back("a", 10, 60)
    assert cache.take("b", 20, 10) == 0


def test_the_last_token_of_a_prompt_is_computed(cache: PrefixCache) -> None:
    cache.take("a", 40, 0)
    cache.give_back("a", 0, 40)
    assert cache.take("a", 40, 0) == 30


def test_siblings_share_their_prefix(cache: PrefixCache) -> None:
    assert [cache.take("a", 40, 20) for _ in range(6)] == [0, *[30] * 5]
    assert cache.take("a", 40, 20) is None  # 40 + 6 · 10, its half


def test_one_waits_until_there_is_room(cache: PrefixCache) -> None:
    cache.take("a", 60, 20)
    assert cache.take("b", 40, 0) is None
    cache.give_back("a", 20, 80)
    assert cache.take("b", 40, 0) == 0


def test_what_nobody_uses_goes_the_oldest_first_from_its_end(cache: PrefixCache) -> None:
    for trajectory in "abc":
        cache.take(trajectory, 30, 0)
        cache.give_back(trajectory, 0, 30)
    cache.take("d", 49, 0)
    cache.give_back("d", 0, 49)  # 39 too many: all of a, 9 of b
    assert [cache.take(trajectory, 31, 0) for trajectory in "cba"] == [30, 20, 0]


def test_it_goes_as_soon_as_a_request_needs_its_room(cache: PrefixCache) -> None:
    cache.take("a", 60, 0)
    cache.give_back("a", 0, 60)
    cache.take("b", 50, 0)
    assert cache.take("a", 50, 0) == 40  # of the 50 that are left


def test_one_alone_may_always_run(cache: PrefixCache) -> None:
    cache.take("a", 30, 0)
    cache.give_back("a", 0, 90)
    assert cache.take("b", 90, 20) == 0
