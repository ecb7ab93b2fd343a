"""The watch over a run: its figures against slow ones, each warning at its border, what outlives a resume."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from fractions import Fraction
from math import nan
from pathlib import Path

import pytest

from tw_plugins.adapter.run_start import FILE, StepMeans, read_start, write_start
from tw_plugins.adapter.vital_signs import VitalSigns, group_shares, logger
from tw_plugins.rollout import Mode


def score(reward: float = 1.0, acc: float = 1.0, activation: float = 1.0) -> dict[str, float]:
    return {"score": reward, "acc": acc, "activation": activation}


def step_of(acc: int, forked: int, of: int = 100) -> list[dict[str, float]]:
    """`of` trajectories, so many of them right, so many with a fork."""
    return [score(float(n < acc), float(n < acc), float(n < forked)) for n in range(of)]


class Run:
    """Steps of one process, and what was said in each."""

    def __init__(
        self, caplog: pytest.LogCaptureFixture, mode: Mode = "parallel", folder: Path | None = None
    ) -> None:
        self.signs, self.caplog = VitalSigns(mode, folder), caplog

    def __call__(self, step: int, acc: int, forked: int, of: int = 100) -> str:
        self.caplog.clear()
        self.figures = self.signs.of_step(step, step_of(acc, forked, of), [n // 4 for n in range(of)])
        assert all(record.levelno == logging.WARNING for record in self.caplog.records)
        return "\n".join(self.caplog.messages)


def slow_shares(rewards: Sequence[float], groups: Sequence[str]) -> tuple[float, float]:
    """By exact fractions; rewards are multiples of 1/1000."""
    exact = [Fraction(round(reward * 1000), 1000) for reward in rewards]
    spread = zero = 0
    for name in set(groups):
        members = [reward for reward, group in zip(exact, groups, strict=True) if group == name]
        spread += len(set(members)) > 1
        zero += sum(reward == sum(members) / len(members) for reward in members)
    return spread / len(set(groups)), zero / len(rewards)


def test_shares_are_those_of_a_slow_count() -> None:
    choose = random.Random(0)
    for _ in range(300):
        count = choose.randint(1, 24)
        groups = [choose.choice("abcdef") for _ in range(count)]  # in any order, of one trajectory too
        rewards = [choose.choice([0, 0, 1, 1.001, 1.1, 1.2]) for _ in range(count)]
        got = group_shares(rewards, groups)
        assert (got["groups_with_spread"], got["zero_advantage"]) == pytest.approx(
            slow_shares(rewards, groups)
        )


def test_by_hand() -> None:
    """Of the first group only the middle one does not move; the second is all right, the third alone."""
    got = group_shares([0, 0.5, 1, 1.2, 1.2, 0.3], ["a", "a", "a", "b", "b", "c"])
    assert got == {"groups_with_spread": pytest.approx(1 / 3), "zero_advantage": pytest.approx(4 / 6)}


def test_equal_but_for_float_error_is_equal() -> None:
    float32 = 1.2999999523162842
    for rewards in ([0.3, 0.1 + 0.2], [1.3, float32, 1.3, 1.3], [0.1] * 3, [-1e6, -1e6 - 1e-9]):
        assert group_shares(rewards, "a" * len(rewards)) == {"groups_with_spread": 0, "zero_advantage": 1}
    one_token = 0.5 / 4000  # of ρ·η, in a trajectory of 4,000 tokens
    assert group_shares([1.0, 1 + one_token], "aa") == {"groups_with_spread": 1, "zero_advantage": 0}


def test_accuracy_against_the_first_step() -> None:
    signs = VitalSigns("parallel")
    assert signs.of_step(1, step_of(60, 50), [0] * 100)["acc_against_start"] == 0
    assert signs.of_step(2, step_of(64, 50), [0] * 100)["acc_against_start"] == pytest.approx(0.04)
    assert signs.of_step(3, step_of(57, 50), [0] * 100)["acc_against_start"] == pytest.approx(-0.03)


def test_nothing_to_look_at() -> None:
    """Trajectories without a figure do not count: other reward functions, and NaN."""
    signs = VitalSigns("parallel")
    assert signs.of_step(1, [], []) == {}
    odd = [{}, {"score": 1.0, "acc": "yes", "activation": 1.0}, score(reward=nan), score(acc=nan)]
    assert signs.of_step(2, odd, list("abcd")) == {}
    found = signs.of_step(3, [*odd, score(0, 0), score(1, 1)], list("abcdee"))
    assert found == {"groups_with_spread": 1, "zero_advantage": 0, "acc_against_start": 0}
    with pytest.raises(ValueError):
        signs.of_step(4, [score()], ["a", "b"])


def test_forks_that_die_out(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(caplog)
    assert run(1, 60, 50) == ""
    assert run(2, 60, 5) == ""  # a tenth of the start
    said = run(3, 60, 4)
    assert said.startswith("step 3: forks die out: 4.0 % of the trajectories fork, in step 1 it was 50.0 %")
    assert "converge SFT first, sample more per prompt, or lower the learning rate" in said
    assert run(4, 60, 0) == ""  # said already
    assert run(5, 60, 5) == ""
    assert run(6, 60, 0).startswith("step 6: forks die out")


def test_accuracy_that_falls(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(caplog)
    assert run(1, 60, 50) == ""
    assert [run(step, 55, 50) for step in (2, 3, 4, 5)] == [""] * 4  # five points are not more than five
    assert [run(6, 54, 50), run(7, 54, 50), run(8, 55, 50)] == [""] * 3
    assert [run(9, 54, 50), run(10, 20, 50)] == [""] * 2
    said = run(11, 54, 50)
    assert said.startswith(
        "step 11: accuracy is more than 5 points below the start for 3 steps in a row: 54.0 %, in step 1 it "
        "was 60.0 %. Lower the learning rate"
    )
    assert [run(step, 10, 50) for step in (12, 13, 14, 15)] == [""] * 4  # said already
    assert run(16, 60, 50) == ""
    assert [bool(run(step, 10, 50)) for step in (17, 18, 19)] == [False, False, True]


def test_an_empty_step_does_not_interrupt(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(caplog)
    counts = [(60, 50, 100), (10, 50, 100), (10, 50, 100), (0, 0, 0)]
    assert [run(step, *each) for step, each in enumerate(counts, 1)] == [""] * 4
    assert "accuracy" in run(5, 10, 50)


def test_a_model_that_does_not_fork(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(caplog)
    said = run(1, 60, 0)
    assert said.startswith("step 1: the model does not fork, none of 100 trajectories did: was it trained")
    assert run(2, 60, 0) == run(3, 60, 20) == run(4, 60, 0) == ""
    assert Run(caplog)(1, 60, 1) == ""


def test_no_word_of_forks_where_none_are_wanted(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(caplog, "autoregressive")
    assert run(1, 60, 0) == ""
    run = Run(caplog, "autoregressive")
    assert [run(1, 60, 50), run(2, 60, 0), run(3, 0, 0), run(4, 0, 0)] == [""] * 4
    said = run(5, 0, 0)
    assert "accuracy" in said and "fork" not in said


def test_a_run_that_goes_on_remembers_its_first_step(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "checkpoints"
    assert Run(caplog, folder=folder)(1, 60, 50) == ""
    assert json.loads((folder / FILE).read_text()) == {"step": 1, "acc": 0.6, "activation": 0.5}

    resumed = Run(caplog, folder=folder)
    assert resumed(7, 58, 4).startswith("step 7: forks die out: 4.0 % of the trajectories fork, in step 1 it")
    assert resumed.figures["acc_against_start"] == pytest.approx(-0.02)
    assert read_start(folder, logger) == StepMeans(1, 0.6, 0.5)


@pytest.mark.parametrize("first", [100, 0], ids=["at once", "after a step without trajectories"])
def test_a_run_that_begins_anew_in_the_same_folder(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, first: int
) -> None:
    write_start(tmp_path, StepMeans(1, 0.9, 0.9), logger)
    run = Run(caplog, folder=tmp_path)
    assert run(1, 30, 5, first) == run(2, 40, 5) == ""
    assert run.figures["acc_against_start"] == pytest.approx(0.1 if first else 0)
    assert read_start(tmp_path, logger) == (StepMeans(1, 0.3, 0.05) if first else StepMeans(2, 0.4, 0.05))


def test_a_run_that_goes_on_without_the_file(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    run = Run(caplog, folder=tmp_path)
    said = run(7, 60, 50)
    assert said.startswith("step 7: the run goes on from a checkpoint, but there is no ")
    assert str(tmp_path / FILE) in said and "compared with this step's" in said
    assert run(8, 61, 50) == "" and run.figures["acc_against_start"] == pytest.approx(0.01)
    assert read_start(tmp_path, logger) == StepMeans(7, 0.6, 0.5)
    assert FILE in Run(caplog)(7, 60, 50)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"step": 1}', '{"step": 1, "acc": "x", "activation": NaN}', b"\xff\xfe"]
)
def test_a_file_that_was_spoilt(caplog: pytest.LogCaptureFixture, tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    said = Run(caplog, folder=tmp_path)(7, 60, 50)
    assert f"{tmp_path / FILE} cannot be read" in said and "compared with this step's" in said
    assert read_start(tmp_path, logger) == StepMeans(7, 0.6, 0.5)


def test_a_folder_that_cannot_be_written_to(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    run = Run(caplog, folder=file)
    said = run(1, 60, 50)
    assert f"{file / FILE} cannot be written" in said and len(caplog.messages) == 1
    assert run(2, 55, 50) == "" and run.figures["acc_against_start"] == pytest.approx(-0.05)
    assert list(tmp_path.iterdir()) == [file]


def test_a_logger_of_ones_own(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("spoilt")
    signs = VitalSigns("parallel", tmp_path, logging.getLogger("framework"))
    signs.of_step(7, step_of(60, 0), [0] * 100)
    assert [record.name for record in caplog.records] == ["framework"] * 3
