"""README's results and the page of all seeds say what the committed records say."""

from __future__ import annotations

from recipes.quickstart.seed_figures import entry_of, failed
from recipes.quickstart.seed_pages import filled, pages, results
from tests.support.reports import finished_report


def test_the_committed_pages_are_those_of_the_records() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"python -m recipes.quickstart.seed_pages ({path.name})"
        )


def test_median_and_worst_leave_failed_runs_out_and_count_them() -> None:
    entries = [entry_of(finished_report(seed), None) for seed in (0, 1)]
    entries[1]["figures"] |= {"accuracy_rl": 0.5, "wall_clock": None}
    text = results({"verl": [*entries, failed(2, "exit status 1", {})]})
    accuracy = entries[0]["figures"]["accuracy_rl"]
    assert f"| accuracy, RL in parallel mode | {(accuracy + 0.5) / 2:.1%} | 50.0% |" in text
    assert "of 3 | seeds 0, 1, 2 |" in text


def test_only_what_stands_between_the_marks_changes() -> None:
    text = "a <!-- x -->old<!-- end of x --> b"
    assert filled(text, "x", "new") == "a <!-- x -->\n\nnew\n\n<!-- end of x --> b"
