"""The manifest of an evaluation, and its repetition: what differs, sample by sample, and why it may."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.eval_server import RIGHT, TAGS, plain, run
from tests.support.records import RECORD
from tests.support.servers import Server, choice
from tw_plugins.cli.app import app
from tw_plugins.engines.choice import Replicas, Servers
from tw_plugins.engines.choice import Server as Place
from tw_plugins.evaluation.manifest import Asked, made_of, read_asked, read_manifest
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.evaluation.rerun import Difference, differences, reasons
from tw_plugins.evaluation.settings import EvalSettings

WRONG = TAGS.encode("<think>\n</think>\\boxed{9}")


def rerun(folder: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["eval", "rerun", str(folder), *options])


@pytest.fixture
def made(server: Server, model: Path, data: Path, tmp_path: Path) -> Path:
    """An evaluation of three problems, two samples of each."""
    out = tmp_path / "out"
    assert run(server, model, data, out, "--samples", "2", "--temperature", "0.5").exit_code == 0
    return out


def test_the_manifest_says_what_it_was_made_of(made: Path, model: Path, data: Path) -> None:
    manifest = read_manifest(made)
    assert manifest["made_of"].keys() == {"model", "data", "prompts", "references", "chat_template"}
    assert "config.json" in manifest["made_of"]["model"] and data.name in manifest["made_of"]["data"]
    assert all(len(one) == 64 for one in manifest["made_of"]["model"].values())
    (began,) = manifest["runs"]
    assert began["command"].split()[0] == "threadweaver" and began["versions"]["torch"]
    assert began["machine"]["cores"] >= 1 and (began["seed"], began["samples_before"]) == (0, 0)
    assert manifest["asked"]["settings"]["samples"] == 2


def test_the_same_again(server: Server, made: Path) -> None:
    result = rerun(made)
    assert result.exit_code == 0, result.output
    assert "parallel: all 6 samples are the same" in plain(result)
    again = made.with_name("out-rerun")
    assert json.loads((again / "rerun.json").read_text())["modes"]["parallel"]["differ"] == 0
    assert read_manifest(again)["made_of"] == read_manifest(made)["made_of"]
    assert len(server.seen) == 12
    assert rerun(made).exit_code == 0 and len(server.seen) == 12, "a whole repetition decodes nothing"


def test_what_differs_is_named_with_the_reasons(server: Server, made: Path, tmp_path: Path) -> None:
    server.answer = lambda body: (
        200,
        choice(WRONG if TAGS.decode(body["prompt"]).startswith("problem 1") else RIGHT),
    )
    result = rerun(made, "--out", str(tmp_path / "again"))
    assert result.exit_code == 0, result.output
    assert "parallel: 2 of 6 samples differ, 0 became right, 2 wrong" in plain(result)
    assert "index 1, sample 0: text from character 23, right → wrong" in plain(result)
    assert "the servers sample with seeds of their own" in plain(result)
    report = json.loads((tmp_path / "again" / "rerun.json").read_text())
    assert [one["index"] for one in report["modes"]["parallel"]["differences"]] == [1, 1]


def test_on_another_machine(server: Server, made: Path, model: Path, data: Path, tmp_path: Path) -> None:
    """Model, data and server may stand elsewhere; what changed in them is a reason."""
    other, problems = tmp_path / "model2", tmp_path / "elsewhere.jsonl"
    shutil.copytree(model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rope_theta": 5.0}))
    problems.write_text(data.read_text().replace('"8"', '"7"'))
    data.unlink()
    gone = rerun(made)
    assert gone.exit_code == 2
    assert f"{data} is no file or folder: check the path" in plain(gone)
    options = ["--model", str(other), "--data", str(problems), "--base-url", f"{server.url}/"]
    result = rerun(made, "--out", str(tmp_path / "again"), *options)
    assert result.exit_code == 0, result.output
    assert "2 of 6 samples differ, 2 became right, 0 wrong" in plain(result)
    assert "index 2, sample 0: verdict, wrong → right" in plain(result)
    assert "model changed: config.json" in plain(result) and "references changed" in plain(result)


def test_a_model_that_has_changed_is_not_gone_on_with(
    server: Server, model: Path, data: Path, tmp_path: Path
) -> None:
    """Under the same name: what is there was decoded by another one."""
    own = tmp_path / "model"
    shutil.copytree(model, own)
    assert run(server, own, data, tmp_path / "out").exit_code == 0
    (own / "config.json").write_text((own / "config.json").read_text() + "\n")
    result = run(server, own, data, tmp_path / "out")
    assert result.exit_code == 2
    assert "holds samples of another model (config.json). Give another --out" in plain(result)


def test_nor_are_samples_that_were_graded_against_another_answer(
    server: Server, model: Path, data: Path, tmp_path: Path
) -> None:
    assert run(server, model, data, tmp_path / "out").exit_code == 0
    data.write_text(data.read_text().replace('"8"', '"7"'))
    result = run(server, model, data, tmp_path / "out")
    assert result.exit_code == 2
    assert "a sample of index 2 was graded against '8', its answer is '7' now" in plain(result)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"asked": 1, "made_of": {}, "runs": []}'])
def test_no_manifest(content: str | None, made: Path) -> None:
    if content is None:
        (made / "manifest.json").unlink()
    else:
        (made / "manifest.json").write_text(content)
    result = rerun(made)
    assert result.exit_code == 2 and len(result.output.splitlines()) == 1
    assert "manifest.json" in result.output


def test_settings_of_another_version(made: Path) -> None:
    manifest = read_manifest(made)
    manifest["asked"]["settings"]["beam_width"] = 4
    (made / "manifest.json").write_text(json.dumps(manifest))
    result = rerun(made)
    assert result.exit_code == 2
    assert "does not know: beam_width. Give the version" in plain(result)


def test_the_folder_itself_is_no_place_for_its_repetition(made: Path) -> None:
    result = rerun(made, "--out", str(made))
    assert result.exit_code == 2
    assert "itself: give another folder" in plain(result)


@pytest.mark.parametrize(
    "where",
    [
        None,
        Replicas(4, 2),
        Servers((Place("http://a:1/v1", "m"), Place("http://b:2", "m", "sglang"))),
    ],
)
def test_what_was_asked_is_read_back_whole(where: Any, tmp_path: Path) -> None:
    settings = EvalSettings(
        samples=4, temperature=0.5, seed=3, engine_args={"dtype": "float32"}, verifier="choice", max_blocks=2
    )
    asked = Asked("m", "d.jsonl", ("parallel", "autoregressive"), 7, settings, where)
    written = {"asked": asked.as_json(), "made_of": {}, "runs": []}
    (tmp_path / "manifest.json").write_text(json.dumps(written))
    assert read_asked(tmp_path) == asked


def test_no_secret_is_kept(tmp_path: Path) -> None:
    settings = EvalSettings(verifier="http://me:secret@host/score?key=secret")
    where = Servers((Place("http://me:secret@host/v1", "m"),))
    assert "secret" not in json.dumps(Asked("m", "d", ("parallel",), None, settings, where).as_json())


def test_every_kind_of_difference() -> None:
    def record(index: int, text: str = "abc", correct: bool = True, sample: int | None = 0) -> Any:
        return replace(RECORD, index=index, text=text, correct=correct, sample=sample)

    before = [record(0), record(1), record(2), record(3), record(4, sample=None), record(4, sample=None)]
    after = [
        record(0),
        record(1, "abd", False),
        record(2, correct=False),
        record(5),
        record(4),
        record(4, "a", sample=1),
    ]
    assert differences(before, after) == [
        Difference(1, 0, "text", 2, True, False),
        Difference(2, 0, "verdict", None, True, False),
        Difference(3, 0, "missing", None, True, None),
        Difference(4, 1, "text", 1, True, True),
        Difference(5, 0, "new", None, None, True),
    ]


def manifest(settings: EvalSettings = EvalSettings(concurrency=1), **run: Any) -> dict[str, Any]:  # noqa: B008
    whole = {"seed": 0, "versions": {"torch": "1"}, "machine": {"cpu": "a"}, **run}
    asked = Asked("m", "d", ("parallel",), None, settings, None)
    return {"asked": asked.as_json(), "made_of": {"prompts": "x", "model": {"a": "1"}}, "runs": [whole]}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (manifest(versions={"torch": "2"}), "torch was 1, is 2"),
        (manifest(versions={}), "torch was 1, is not there"),
        (manifest(machine={"cpu": "b"}), "cpu of the machine was a, is b"),
        ({**manifest(), "made_of": {"prompts": "y", "model": {"a": "1"}}}, "prompts changed"),
        ({**manifest(), "made_of": {"prompts": "x", "model": {"a": "2"}}}, "model changed: a"),
        (manifest(EvalSettings(concurrency=1, max_blocks=3)), "other settings"),
        (manifest(EvalSettings(concurrency=1, verifier="my.module:f")), "the verifier is not ours"),
        (manifest(EvalSettings()), "requests met others in the engine's batches"),
        ({**manifest(), "runs": manifest()["runs"] * 2}, "was broken off and went on, with another seed"),
    ],
)
def test_each_reason(other: dict[str, Any], reason: str) -> None:
    assert reasons(manifest(), manifest()) == [], "greedy, alone, on one machine"
    assert any(reason in one for one in reasons(manifest(), other))


def test_the_hashes_are_of_what_decides(model: Path, data: Path) -> None:
    problem = EvalProblem(0, "all", "?", [1, 2], "7")
    same = [made_of(str(model), str(data), [problem], "t") for _ in range(2)]
    assert same[0] == same[1]
    for name, other in (
        ("prompts", made_of(str(model), str(data), [replace(problem, prompt_ids=[1, 3])], "t")),
        ("references", made_of(str(model), str(data), [replace(problem, reference="8")], "t")),
        ("chat_template", made_of(str(model), str(data), [problem], "u")),
    ):
        assert [key for key, value in other.items() if value != same[0][key]] == [name]
