"""Where requests go; each rule is held against its framework's own in the adapters' tests."""

from __future__ import annotations

from tw_plugins.planning.simulation.router import EvenRouter, StickyRouter


def test_an_id_stays_and_a_new_one_goes_to_the_least_busy() -> None:
    router = StickyRouter(3)
    places = [router.acquire(name) for name in "abc"]
    assert sorted(places) == [0, 1, 2]
    router.release(places[1])
    assert [router.acquire(name) for name in "ada"] == [places[0], places[1], places[0]]


def test_an_id_that_was_forgotten_may_go_elsewhere() -> None:
    router = StickyRouter(2, remembered=2)
    first = router.acquire("a")
    for name in "bc":
        router.acquire(name)
    router.release(1 - first)
    router.release(1 - first)
    assert router.acquire("a") == 1 - first


def test_an_id_that_is_asked_for_again_is_not_the_next_to_be_forgotten() -> None:
    router = StickyRouter(8, remembered=2)
    first = router.acquire("a")
    for name in "bac":
        router.acquire(name)
    assert router.acquire("a") == first  # with two under way the busiest: as a new one it would go elsewhere


def test_prompts_are_dealt_out() -> None:
    router = EvenRouter(2)
    assert [router.acquire(name) for name in "abcab"] == [0, 1, 0, 0, 1]
