"""`threadweaver pipeline run`: what it refuses, prints, runs, goes on with and runs again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.pipelines import TEXT, write
from tw_plugins.cli.app import app
from tw_plugins.cli.own_commands import check_own
from tw_plugins.cli.pipeline import read_plan

ONLY_DATA = """\
variables: {{word: first, status: 0}}
framework: openrlhf
model: owner/model
data:
  commands:
    - bash -c "echo ${{word}} >> {log}"
    - bash -c "exit ${{status}}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path, ONLY_DATA.format(log=tmp_path / "log"))


def run(file: Path, *options: str) -> Result:
    return CliRunner().invoke(
        app, ["pipeline", "run", str(file), "--out", str(file.parent / "out"), *options]
    )


def test_a_dry_run_prints_every_command_and_starts_nothing(tmp_path: Path) -> None:
    done = run(write(tmp_path), "--dry-run")
    assert done.exit_code == 0 and not (tmp_path / "out").exists()
    ours = ("data add-tokens", "data stage1", "data selftrain", "eval run", "eval clock", "eval table")
    for part in (*ours, "verl.trainer.sft_trainer", "verl.trainer.main_ppo", "toy_grpo_sequential"):
        assert part in done.stdout
    some = run(tmp_path / "my.yaml", "--dry-run", "--from", "selftrain", "--until", "rl").stdout
    assert "data selftrain" in some and "main_ppo" in some
    assert "data stage1" not in some and "eval run" not in some


def test_it_goes_on_where_it_failed_and_does_nothing_twice(file: Path) -> None:
    failed = run(file, "--set", "status=3")
    assert failed.exit_code == 1 and "command 2 ended with exit status 3" in failed.output
    done = run(file)
    assert done.exit_code == 0 and "a report needs rl and eval" in done.output
    again = run(file)
    assert "done before" in again.output
    assert (file.parent / "log").read_text() == "first\nfirst\n"  # data are no stage that goes on half-way


def test_an_edit_is_said_and_run(file: Path) -> None:
    run(file)
    done = run(file, "--set", "word=second")
    assert "settings, recipe or data are not those of the last run: runs again" in done.output
    assert (file.parent / "log").read_text() == "first\nsecond\n"
    assert "second" in (file.parent / "out" / "commands.sh").read_text()


def test_a_dry_run_says_how_far_each_stage_is(file: Path) -> None:
    def said(*options: str) -> str:
        return next(
            line for line in run(file, "--dry-run", *options).stdout.splitlines() if "# stage" in line
        )

    assert said().endswith("(not begun)")
    assert run(file, "--set", "status=3").exit_code == 1
    assert said("--set", "status=3").endswith("(begun)")
    run(file)
    assert said().endswith("(done)")
    assert said("--set", "word=second").endswith("(done or begun with other settings)")


def test_what_a_framework_misses_has_its_line(tmp_path: Path) -> None:
    text = TEXT.replace("  validation: {verl: owner/held-out}\n", "")
    done = run(write(tmp_path, text), "--dry-run")
    line = text[: text.index("\nrl:")].count("\n") + 2
    assert done.exit_code == 2 and f"my.yaml:{line}: verl validates in RL: give rl.validation" in done.stderr


def test_a_folder_of_something_else_is_left_alone(file: Path) -> None:
    kept = file.parent / "out" / "data" / "mine"
    kept.parent.mkdir(parents=True)
    kept.touch()
    for options in ((), ("--restart",), ("--from", "data")):
        done = run(file, *options)
        assert done.exit_code == 2 and "something else than a run" in done.stderr and kept.exists()


def test_a_framework_that_is_not_here_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tw_plugins.cli.pipeline_run.installed", lambda name: None)
    done = run(write(tmp_path))
    assert done.exit_code == 2 and "verl is not installed in this environment" in done.stderr


def test_from_runs_again_and_restart_all(file: Path) -> None:
    for options in ((), ("--from", "data"), ("--restart",), ("--until", "data")):
        assert run(file, *options).exit_code == 0
    assert (file.parent / "log").read_text() == "first\n" * 3


def test_from_needs_what_stands_before_it(tmp_path: Path) -> None:
    done = run(write(tmp_path), "--from", "rl")
    assert done.exit_code == 2 and "--from rl: add-tokens is not done" in done.output


def test_a_stage_that_was_begun_before_one_ran_again_is_not_taken_for_done(file: Path) -> None:
    run(file)
    marker = file.parent / "out" / "data" / "done.json"
    assert json.loads(marker.read_text())["seconds"] >= 0
    marker.unlink()
    assert "done before" not in run(file).output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "tune"), "no stage 'tune', choose of data, report"),
        (("--until", "rl"), "no stage 'rl', choose of data, report"),
        (("--set", "word"), "not NAME=VALUE"),
        (("--set", "words=1"), "did you mean word?"),
    ],
)
def test_wrong_options_are_named(file: Path, options: tuple[str, ...], said: str) -> None:
    done = run(file, *options)
    assert done.exit_code == 2 and said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("old", "new", "stage"),
    [
        ("answer-line: true", "answer-lime: true", "eval"),
        ("samples: 4", "samples: four", "selftrain"),
        ("price-in: 0.5", "price-in: cheap", "stage1"),
        ("  - bash", "  - threadweaver data toys", "data"),
    ],
)
def test_our_own_commands_are_parsed_before_anything_starts(
    tmp_path: Path, old: str, new: str, stage: str
) -> None:
    text = TEXT if old in TEXT else ONLY_DATA.format(log="log")
    assert old in text
    done = run(write(tmp_path, text.replace(old, new, 1)))
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    assert "my.yaml:" in done.stderr and f": {stage}: " in done.stderr


def test_a_whole_file_passes(tmp_path: Path) -> None:
    from tests.support.pipelines import RUN, SUFFIXES
    from tw_plugins.pipeline.reading import read_pipeline

    file = write(tmp_path)
    check_own(read_plan(file, RUN, {}), read_pipeline(file, SUFFIXES, RUN).source)
