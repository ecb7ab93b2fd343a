"""verl's own scorers as a verifier, and the verifier through verl's config and reward manager."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from tests.support.verl.configs import rl_config
from tests.unit.verl_ext.test_reward_manager import data_of, score, summary
from tw_plugins.verifiers import VerifierError, VerifierSettings, check_verifier
from verl_ext import preflight, verifier
from verl_ext.prompts import read_prompts
from verl_ext.settings import prompt_settings
from verl_ext.verifier import check, verify

Toy = dict[str, Path]
KWARGS = "reward.custom_reward_function.reward_kwargs"


@pytest.mark.parametrize(
    ("source", "text", "reference", "scored"),
    [
        ("openai/gsm8k", "so\n#### 72", "72", 1.0),
        ("openai/gsm8k", "so\n#### 72", "48/2 = 24\n#### 72", 1.0),
        ("openai/gsm8k", "so\n#### 71", "72", 0.0),
        ("lighteval/MATH", r"\boxed{\frac12}", r"\frac{1}{2}", 1.0),
        ("math_dapo", "Answer: 7", "7", 1.0),
        ("math_dapo", "Answer: 8", "7", 0.0),  # verl's own score is −1
        ("aime_2024", r"\boxed{8}", "7", 0.0),
        ("searchR1_nq", "<answer>a</answer> <answer>Paris</answer>", {"target": ["Paris"]}, 1.0),
    ],
)
def test_scores_are_verls(source: str, text: str, reference: Any, scored: float) -> None:
    assert verify("?", text, reference, {"data_source": source}) == scored


def test_sources_that_cannot_be_scored_are_named() -> None:
    check(["openai/gsm8k", "lighteval/MATH", "math_dapo", "aime_2024", "searchR1_nq"])
    with pytest.raises(ValueError, match="no scorer for data_source mine"):
        check(["openai/gsm8k", "mine"])


@pytest.mark.parametrize("source", ["codecontests", "apps", "codeforces", "taco"])
def test_programs_go_to_our_sandbox(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """verl's scorer would run them in this process."""
    seen: list[Any] = []
    monkeypatch.setattr(verifier.code, "verify", lambda *given: seen.append(given) or True)
    monkeypatch.setattr(verifier.code.sandbox, "problem", lambda: "no bubblewrap")
    extra = {"data_source": source}
    assert verify("?", "```\nimport os\n```", "{}", extra, 7.0) == 1.0
    assert seen == [("?", "```\nimport os\n```", "{}", extra, 7.0)]
    with pytest.raises(
        ValueError, match=f"data_source {source}: no bubblewrap. verifier=code_without_sandbox"
    ):
        check([source, "openai/gsm8k"])


def test_an_unknown_source_is_one_line_at_the_start() -> None:
    with pytest.raises(VerifierError, match="verl cannot be used: verl has no scorer for data_source toy"):
        check_verifier(VerifierSettings(verifier="verl"), {"toy"})


def own(folder: Path, body: str) -> str:
    (folder / "mine.py").write_text(f"def verify(prompt, text, reference, extra):\n    {body}\n")
    return f"{folder / 'mine.py'}:verify"


async def test_an_own_verifier_through_verls_manager(toy: Toy, tmp_path: Path) -> None:
    seen = "return 0.5 * (prompt == '6·7?' and extra == {'data_source': 'toy', 'kind': 'chain', 'index': 7, "
    rest = "'num_turns': 2, 'rollout_reward_scores': {}} and reference == '42' and text == 'forty-two')"
    place = own(tmp_path, seen + rest)
    data = data_of(summary("forty-two<|im_end|>", prompt="6·7?"))
    result = await score(toy, data, f"{KWARGS}.verifier='{place}'")
    assert result["reward_score"] == pytest.approx(0.5 * 1.2)
    info = result["reward_extra_info"]
    assert (info["acc"], info["reward_acceleration"], info["verifier_failed"]) == (
        0.5,
        pytest.approx(0.1),
        0.0,
    )
    assert "unanswered" not in info


async def test_a_failure_is_in_the_metrics(toy: Toy, tmp_path: Path) -> None:
    data = data_of(summary("\\boxed{42}"))
    result = await score(toy, data, f"{KWARGS}.verifier='{own(tmp_path, '1 / 0')}'")
    assert (result["reward_score"], result["reward_extra_info"]["verifier_failed"]) == (0.0, 1.0)


def test_the_data_set_reads_for_the_rewards_verifier(toy: Toy) -> None:
    """`data` is all that verl gives a data set."""
    assert prompt_settings(rl_config(toy).data).verifier == "math"
    assert prompt_settings(rl_config(toy, f"{KWARGS}.verifier=choice").data).verifier == "choice"


def test_the_start_names_a_verifier_that_is_none(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match=r"mine\.py has no function check"):
        place = own(tmp_path, "return 1").replace(":verify", ":check")
        preflight.check(rl_config(toy, f"{KWARGS}.verifier='{place}'"))
    with pytest.raises(ValueError, match=r"set \+data.threadweaver.verifier=choice, as reward"):
        preflight.check(rl_config(toy, f"{KWARGS}.verifier=choice", "data.threadweaver.verifier=math"))


def test_a_file_is_found_from_any_folder(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = own(tmp_path, "return 1")
    monkeypatch.chdir(tmp_path)
    config = rl_config(toy, f"{KWARGS}.verifier='mine.py:verify'")
    preflight.check(config)
    assert config.reward.custom_reward_function.reward_kwargs.verifier == place
    assert prompt_settings(config.data).verifier == place


def test_a_reward_model_that_nobody_asks_is_named(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    preflight.check(rl_config(toy, "reward.reward_model.enable=True"))
    assert any("verifier math does not ask it" in line for line in caplog.messages)


async def test_its_address_is_in_extra(toy: Toy, tmp_path: Path) -> None:
    place = own(tmp_path, "return extra['reward_router_address'] == 'localhost:1'")
    result = await score(toy, data_of(summary("x")), f"{KWARGS}.verifier='{place}'", router="localhost:1")
    assert result["reward_extra_info"]["acc"] == 1.0


def test_references_are_kept_as_published(toy: Toy, tmp_path: Path) -> None:
    (one,) = pq.read_table(toy["rl"]).slice(0, 1).to_pylist()
    one |= {"reward_model": {"ground_truth": {"tests": [1, 2]}}, "metadata": {"a": [1, "b"]}}
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(one))
    config = rl_config(toy, f"{KWARGS}.verifier=os:getpid").data
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    (row,), holes = read_prompts([str(path)], config, tokenizer)
    assert row["reward_model"]["ground_truth"] == {"tests": [1, 2]} and not holes.total
    assert row["data_source"] == one["data_source"] and json.loads(row["extra_info"]["metadata"]) == {
        "a": [1, "b"]
    }


def test_tests_of_programs_are_one_type_in_every_row(toy: Toy, tmp_path: Path) -> None:
    (one,) = pq.read_table(toy["rl"]).slice(0, 1).to_pylist()
    rows = [
        one | {"reward_model": {"ground_truth": tests}}
        for tests in ({"inputs": ["3"], "outputs": ["6"]}, {"inputs": [[3]], "outputs": [6], "fn_name": "f"})
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = rl_config(toy, f"{KWARGS}.verifier=code").data
    read, holes = read_prompts([str(path)], config, AutoTokenizer.from_pretrained(toy["model"]))
    kept = [json.loads(row["reward_model"]["ground_truth"]) for row in read]
    assert kept == [row["reward_model"]["ground_truth"] for row in rows] and not holes.total
