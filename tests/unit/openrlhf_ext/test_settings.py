"""`--tw.*`: declared, typed, checked, handed on; upstream's flags pass through unchanged."""

from __future__ import annotations

from dataclasses import fields

import pytest

from openrlhf_ext.arguments import with_estimator
from openrlhf_ext.settings import ENVIRONMENT, RLSettings, SettingsError, SFTSettings
from tw_plugins.reward import RewardSettings
from tw_plugins.settings import declared


def parsed(*arguments: str) -> tuple[RLSettings, list[str]]:
    ours, theirs = RLSettings.parser().parse_known_args(list(arguments))
    return RLSettings(**vars(ours)), theirs


def test_upstreams_flags_pass_through_in_order() -> None:
    settings, theirs = parsed(
        "--data.max_len", "64", "--tw.rho", "0.4", "--ds.packing_samples", "--tw.max_threads=3"
    )
    assert theirs == ["--data.max_len", "64", "--ds.packing_samples"]
    assert (settings.rho, settings.max_threads) == (0.4, 3)


def test_the_defaults_are_the_papers() -> None:
    settings, _ = parsed()
    assert settings.reward() == {flag.name: flag.default for flag in fields(RewardSettings)}
    assert (settings.mode, settings.max_threads) == ("parallel", 50)


def test_every_flag_is_in_the_help_with_its_text() -> None:
    for flags in (RLSettings, SFTSettings):
        text = " ".join(flags.parser().format_help().split())
        for flag in declared(flags).values():
            assert f"--tw.{flag.name}" in text
            assert " ".join(flag.text.split()[:3]) in text


def test_settings_come_back_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = parsed("--tw.mode", "autoregressive", "--tw.acceleration", "none", "--tw.max_tokens", "7")
    environment = settings.to_environment()
    monkeypatch.setenv(ENVIRONMENT, environment[ENVIRONMENT])
    assert RLSettings.from_environment() == settings
    assert "rho" not in environment[ENVIRONMENT]


@pytest.mark.parametrize("text", ["no JSON", '{"rhoo": 1}', '{"max_tokens": 1.5}', "[1]"])
def test_a_broken_environment_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(ENVIRONMENT, text)
    with pytest.raises(SettingsError, match=f"^{ENVIRONMENT}="):
        RLSettings.from_environment()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tw.rho", "-1"), "--tw.rho=-1.0: must be a finite number, at least 0"),
        (("--tw.rho", "nan"), "--tw.rho=nan: must be a finite number"),
        (("--tw.rho_clip", "inf"), "--tw.rho_clip=inf: must be a finite number"),
        (("--tw.format_weight", "-9"), "--tw.format_weight=-9.0: must be a finite number, at least 0"),
        (("--tw.wrong", "5"), "--tw.wrong=5.0: wrong [+] format_weight must be below 1"),
        (("--tw.engine_timeout_s", "inf"), "--tw.engine_timeout_s=inf: must be a finite number"),
        (("--tw.engine_timeout_s", "1e12"), "--tw.engine_timeout_s is 1.* must be .* at most a year"),
        (("--tw.vllm_args", "{"), "--tw.vllm_args '{' is not JSON"),
        (("--tw.vllm_args", "[]"), "is not a JSON object"),
        (("--tw.engine_timeout_s", "-1"), "--tw.engine_timeout_s is -1.0: it must be a positive number"),
    ],
)
def test_values_that_cannot_work(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parsed(*arguments)


@pytest.mark.parametrize("arguments", [("--tw.mode", "serial"), ("--tw.max_threads", "many")])
def test_argparse_refuses_the_rest(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*arguments)
    assert arguments[0] in capsys.readouterr().err


def test_limits_follow_the_room_and_contradictions_are_named() -> None:
    assert RLSettings().limits(80).answer_reserve == 10
    assert RLSettings(max_tokens=40).limits(80).max_tokens == 40
    assert RLSettings(max_tokens=90).limits(80).max_tokens == 80
    with pytest.raises(SettingsError, match="answer_reserve"):
        RLSettings(answer_reserve=80).limits(80)


def test_p_grpo_is_upstreams_dr_grpo() -> None:
    flag = "--algo.advantage.estimator"
    assert with_estimator([flag, "p_grpo", "--x", "p_grpo"]) == [flag, "dr_grpo", "--x", "p_grpo"]
    assert with_estimator([f"{flag}=p_grpo"]) == [f"{flag}=dr_grpo"]
    assert with_estimator([flag, "rloo"]) == [flag, "rloo"]
