"""SmolLM2's figures: the pages say what the committed records say, and what is promised."""

from __future__ import annotations

from recipes.quickstart.seed_figures import entry_of, reached
from recipes.smollm2.figures import PROMISES, pages, records
from tests.support.reports import finished_report


def test_the_committed_pages_are_those_of_the_records() -> None:
    for path, text in pages(records()).items():
        assert path.read_text(encoding="utf-8") == text, f"python -m recipes.smollm2.figures ({path.name})"


def test_what_is_promised() -> None:
    least = {"accuracy": 0.9, "baseline": 0.92, "decomposable": 0.9, "chain": 0.1}
    report = finished_report(**least, token_latency=1.5, wall_clock=1.4)
    assert reached(entry_of(report, None, PROMISES))
    for worse in (
        {"accuracy": 0.89, "baseline": 0.89},
        {"baseline": 0.93},
        {"decomposable": 0.89},
        {"chain": 0.11},
        {"token_latency": 1.49},
        {"wall_clock": 1.39},
    ):
        given = {**least, "token_latency": 1.5, "wall_clock": 1.4, **worse}
        assert not reached(entry_of(finished_report(**given), None, PROMISES)), worse
