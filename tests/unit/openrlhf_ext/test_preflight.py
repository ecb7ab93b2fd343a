"""Each flag that cannot work is named, with what to set instead, by the real commands, before Ray works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext import agent, launcher, preflight
from openrlhf_ext.device import GPU
from openrlhf_ext.settings import ENVIRONMENT, RLSettings, SettingsError, SFTSettings
from tests.support.fakes import char_tokenizer
from tests.support.messages import assert_message
from tests.support.openrlhf import recording_agent
from tests.support.openrlhf.flags import flags_of, namespace, upstreams
from tw_plugins.adapter import versions
from tw_plugins.errors import UserError

Toy = dict[str, Path]


@pytest.fixture
def rl(toy: Toy) -> Any:
    files = ["--actor.model_name_or_path", str(toy["model"]), "--data.prompt_dataset", str(toy["rl"])]
    flags = ["--train.agent_func_path", "agent.py", *upstreams(flags_of("train_toy_p_grpo.sh")), *files]
    return namespace("openrlhf.cli.train_ppo_ray", *flags)


def check(args: Any) -> None:
    preflight.check_rl(args, RLSettings())


def set_flag(args: Any, dotted: str, value: Any) -> None:
    *path, name = dotted.split(".")
    for part in path:
        args = getattr(args, part)
    assert hasattr(args, name)
    setattr(args, name, value)


def test_the_toy_recipe_passes_without_a_word(rl: Any, caplog: pytest.LogCaptureFixture) -> None:
    check(rl)
    assert caplog.messages == []


def test_on_gpus_flash_attention_need_not_be_changed(
    rl: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openrlhf_ext.preflight.chosen_device", lambda: GPU)
    monkeypatch.setattr("openrlhf_ext.preflight.check_memory", lambda *_: [])
    rl.ds.attn_implementation = "flash_attention_2"  # upstream's default
    check(rl)
    assert rl.ds.attn_implementation == "trie"
    assert sum("flash_attention_2 takes no mask" in message for message in caplog.messages) == 1


def test_a_model_that_disagrees_on_its_end_is_named(
    rl: Any, toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = shutil.copytree(toy["model"], tmp_path / "model")
    (model / "generation_config.json").write_text('{"eos_token_id": 0}')
    rl.actor.model_name_or_path = str(model)
    check(rl)
    assert any(f"{model}: end of turn: the tokenizer" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        (
            "ds.attn_implementation",
            "flash_attention_2",
            "needs? attention that takes a mask.*attn_implementation trie",
        ),
        ("ds.ring_attn_size", 2, "ring_attn_size 2 does not divide the actor's 1 GPUs: set one that does"),
        ("algo.advantage.estimator", "gae", "gae needs a critic.*estimator p_grpo"),
        ("data.max_images_per_prompt", 1, "max_images_per_prompt: .* set it to 0"),
        ("data.max_len", 512, "max_new_tokens 512 leaves no prompt in --data.max_len 512"),
        ("train.enable_ema", True, "--train.enable_ema"),
        ("vllm.sync_with_ray", True, "--vllm.sync_with_ray"),
        ("train.colocate_all", True, "--train.colocate_all"),
        ("data.label_key", "answer", "has no column answer for the reference answer; it has"),
        (
            "data.prompt_dataset",
            "/none.parquet",
            "^--data.prompt_dataset: /none.parquet is no file",
        ),
        ("data.prompt_dataset", "/none.jsonl", "/none.jsonl is no file or folder"),
        ("data.prompt_dataset", "org/some, /none.parquet", "/none.parquet is no file or folder"),
        ("data.prompt_dataset", "/none/there", "/none/there is no file or folder: check the path"),
        ("eval.dataset", "./none@part", "^--eval.dataset: none@part is no file or folder: check"),
        ("vllm.num_engines", 0, "--vllm.num_engines is 0: .*set it to at least 1"),
        ("vllm.num_engines", None, "--vllm.num_engines is 0: .*set it to at least 1"),
        ("actor.model_name_or_path", "/none", "no tokenizer and config can be loaded from /none"),
    ],
)
def test_flags_that_cannot_work(rl: Any, flag: str, value: Any, message: str) -> None:
    set_flag(rl, flag, value)
    with pytest.raises(UserError) as error:
        check(rl)
    assert_message(error.value, message)


def test_a_checkpoint_that_was_not_finished(rl: Any, tmp_path: Path) -> None:
    """Without a word where there is none yet, and where one is whole."""
    set_flag(rl, "ckpt.load_enable", True)
    set_flag(rl, "ckpt.path", str(tmp_path))
    check(rl)
    (tmp_path / "_actor" / "global_step1").mkdir(parents=True)
    with pytest.raises(UserError) as error:
        check(rl)
    assert_message(error.value, "no checkpoint in .*_actor is whole .no file latest.: remove the folder")
    (tmp_path / "_actor" / "latest").write_text("global_step1")
    check(rl)


def test_rows_can_be_split(rl: Any, caplog: pytest.LogCaptureFixture) -> None:
    rl.actor.num_gpus_per_node = 16
    set_flag(rl, "ds.ring_attn_size", 2)
    check(rl)
    assert caplog.messages == []
    set_flag(rl, "ds.ring_attn_head_stride", 2)
    with pytest.raises(UserError) as error:
        check(rl)
    assert_message(error.value, "ring_attn_head_stride is of upstream's ring, .*leave it out")
    set_flag(rl, "ds.ring_attn_head_stride", 1)
    set_flag(rl, "ds.ring_attn_size", 16)
    with pytest.raises(UserError) as error:
        check(rl)
    assert_message(
        error.value, r"ring_attn_size 16: qwen3 has \d attention heads, which 16 ranks do not divide"
    )


def test_all_problems_are_said_at_once(rl: Any) -> None:
    set_flag(rl, "ds.ring_attn_size", 2)
    set_flag(rl, "data.max_images_per_prompt", 1)
    with pytest.raises(UserError) as error:
        check(rl)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("actor.loss_agg_mode", "sequence-mean", "Eq. 4 of P-GRPO is token-mean"),
        ("train.batch_size", 64, "several updates a step"),
        ("algo.advantage.estimator", "rloo", "P-GRPO's is p_grpo"),
        ("algo.kl.init_coef", 0.01, "P-GRPO has no KL term"),
        ("rollout.top_p", 0.95, "--rollout.top_p 0.95: the rollout samples of a part of the softmax"),
        ("ds.lora.rank", 8, "--ds.lora.rank 8: LoRA leaves embedding and head as they are"),
    ],
)
def test_what_is_not_eq_4_is_said(
    rl: Any, caplog: pytest.LogCaptureFixture, flag: str, value: Any, message: str
) -> None:
    set_flag(rl, flag, value)
    check(rl)
    (line,) = caplog.messages
    assert message in line


def test_a_correction_that_the_bypass_leaves_idle_is_said(rl: Any, caplog: pytest.LogCaptureFixture) -> None:
    set_flag(rl, "algo.advantage.is_correction_level", "token")
    preflight.check_rl(rl, RLSettings(bypass_mode=True))
    (line,) = caplog.messages
    assert "is_correction_level token with --tw.bypass_mode" in line


def test_code_of_a_model_is_not_run(rl: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, ran = tmp_path / "model", tmp_path / "ran"
    char_tokenizer().save_pretrained(model)
    automatic = {"model_type": "mine", "auto_map": {"AutoConfig": "configuration_mine.Mine"}}
    (model / "config.json").write_text(json.dumps(automatic))
    (model / "configuration_mine.py").write_text(
        f"from transformers import PretrainedConfig as Mine\nopen({str(ran)!r}, 'w')\n"
    )
    set_flag(rl, "actor.model_name_or_path", str(model))
    check(rl)
    (line,) = (record.getMessage() for record in caplog.records if record.name == preflight.__name__)
    assert "brings code of its own, which OpenRLHF runs" in line and not ran.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            '{"max_numseqs": 3}',
            "no engine argument max_numseqs [(]did you mean max_num_seqs[?][)]: mend",
        ),
        ('{"qqq": 3}', "no engine argument qqq: mend or remove it, see vllm.AsyncEngineArgs"),
    ],
)
def test_an_engine_argument_that_vllm_does_not_have(rl: Any, given: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        preflight.check_rl(rl, RLSettings(vllm_args=given))
    assert_message(error.value, message)
    preflight.check_rl(rl, RLSettings(vllm_args='{"max_num_seqs": 3, "worker_extension_cls": "a.B"}'))


@pytest.mark.parametrize(
    ("taken", "name", "message"),
    [
        ("file", "file/m.jsonl", "its folder cannot be made .*Give another"),
        ("m.jsonl/x", "m.jsonl", "m.jsonl cannot be written: give a file"),
        ("x", "new/folder/m.jsonl", None),
    ],
)
def test_the_metrics_file(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str, name: str, message: str | None
) -> None:
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).touch()
    monkeypatch.setenv(
        ENVIRONMENT, SFTSettings(metrics_file=str(tmp_path / name)).to_environment()[ENVIRONMENT]
    )
    flags = ["--model.model_name_or_path", str(toy["model"]), "--data.dataset", str(toy["sft"])]
    _, theirs = SFTSettings.parser().parse_known_args(flags_of("train_toy_sft.sh"))
    args = namespace("openrlhf.cli.train_sft", *theirs, *flags)
    if message is None:
        preflight.prepare(args, [])
        assert (tmp_path / name).parent.is_dir()
    else:
        with pytest.raises(SettingsError) as error:
            preflight.prepare(args, [])
        assert_message(error.value, message)


# ---------------------------------------------------------------- before upstream parses


def refusal(*arguments: str) -> str:
    """What the launcher says of a command line before it hands it to upstream."""
    with pytest.raises(SystemExit) as stopped:
        launcher.read(RLSettings, list(arguments), agent.__file__)
    text = str(stopped.value)
    assert text.startswith("error: ")
    return text


@pytest.mark.parametrize("name", ["openrlhf", "transformers", "torch", "deepspeed", "ray", "vllm"])
def test_an_unsupported_version(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "0.1" if asked == name else real(asked))
    assert_message(refusal(), f"error: {name} 0.1 is installed; openrlhf_ext supports {name}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algo.advantage.estimator", "p_grpo"], "n_samples_per_prompt is 1: p_grpo compares .*at least 2"),
        (
            ["--rollout.n_samples_per_prompt=0", "--algo.advantage.estimator=rloo"],
            "n_samples_per_prompt is 0: rloo compares .*at least 2",
        ),
        (
            ["--train.agent_func_path", "mine.py"],
            "agent_func_path mine.py is not a Python file: check the path",
        ),
        (["--train.agent_func_path", "/tmp"], "agent_func_path /tmp is not a Python file: check the path"),
        (
            ["--tw.rhoo", "1"],
            "--tw.rhoo is not one of ThreadWeaver's flags; did you mean --tw.rho[?] See --help",
        ),
        (["--tw.qqq", "1"], "--tw.qqq is not one of ThreadWeaver's flags; see --help"),
    ],
)
def test_what_upstream_would_only_assert(arguments: list[str], message: str) -> None:
    assert_message(refusal(*arguments), message)


def test_an_executor_of_ones_own_wins_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    given = ["--train.agent_func_path", recording_agent.__file__]
    assert launcher.read(RLSettings, given, agent.__file__)[1] == given
    (line,) = caplog.messages
    assert "recording_agent.py takes the place of ThreadWeaver's executor" in line


def test_our_executor_is_the_default(caplog: pytest.LogCaptureFixture) -> None:
    ours = ["--train.agent_func_path", agent.__file__]
    assert launcher.read(RLSettings, [], agent.__file__)[1] == ours
    assert launcher.read(RLSettings, ours, agent.__file__)[1] == ours
    assert caplog.messages == []


def test_dynamic_batches_keep_padding_and_the_attention_that_was_asked_for() -> None:
    asked = ["--train.dynamic_batch_enable", "--ds.attn_implementation", "sdpa", "--vllm.num_engines", "1"]
    args = namespace("openrlhf.cli.train_ppo_ray", *asked, "--reward.remote_url", "agent")
    assert (args.ds.packing_samples, args.ds.attn_implementation) == (True, "flash_attention_2")
    preflight.keep_padding(args, asked)
    assert (args.ds.packing_samples, args.ds.attn_implementation) == (False, "sdpa")


def test_of_a_flag_given_twice_the_last_counts() -> None:
    asked = ["--ds.attn_implementation", "flex_attention", "--ds.attn_implementation", "sdpa"]
    args = namespace(
        "openrlhf.cli.train_ppo_ray", *asked, "--reward.remote_url", "agent", "--vllm.num_engines", "1"
    )
    preflight.keep_padding(args, asked)
    assert args.ds.attn_implementation == "sdpa"


def test_what_is_split_stays_packed() -> None:
    asked = ["--ds.ring_attn_size", "2", "--ds.attn_implementation", "trie", "--vllm.num_engines", "1"]
    args = namespace("openrlhf.cli.train_ppo_ray", *asked, "--reward.remote_url", "agent")
    preflight.keep_padding(args, asked)
    assert (args.ds.packing_samples, args.ds.attn_implementation) == (True, "trie")


def test_packing_that_was_asked_for_stays() -> None:
    asked = ["--ds.packing_samples", "--ds.attn_implementation=sdpa", "--vllm.num_engines", "1"]
    args = namespace("openrlhf.cli.train_ppo_ray", *asked, "--reward.remote_url", "agent")
    preflight.keep_padding(args, asked)
    assert (args.ds.packing_samples, args.ds.attn_implementation) == (True, "sdpa")


def command(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )


def test_sft_refuses_in_one_line_and_with_status_1(toy: Toy) -> None:
    done = command(
        "openrlhf_ext.train_sft",
        "--model.model_name_or_path",
        str(toy["model"]),
        "--data.dataset",
        str(toy["sft"]),
    )
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: trie rows need attention that takes a mask, not flash_attention_2")


def test_rl_refuses_before_ray_starts(toy: Toy, tmp_path: Path) -> None:
    done = command(
        "openrlhf_ext.train_ppo_ray",
        *flags_of("train_toy_p_grpo.sh"),
        *("--actor.model_name_or_path", str(toy["model"]), "--data.prompt_dataset", str(toy["rl"])),
        *("--data.label_key", "answr"),
        RAY_TMPDIR=str(tmp_path / "ray"),
    )
    assert done.returncode == 1
    assert re.search("error: .*rl.parquet, row 0 has no column answr", done.stderr.splitlines()[-1])
    assert not (tmp_path / "ray").exists()


def test_an_unknown_flag_of_ours_is_named() -> None:
    done = command("openrlhf_ext.train_sft", "--tw.stric")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "error: --tw.stric is not one of ThreadWeaver's flags; did you mean --tw.strict? See --help"
    )


def test_help_shows_ours_and_upstreams() -> None:
    done = command("openrlhf_ext.train_ppo_ray", "--help")
    assert done.returncode == 0
    assert "--tw.rho_clip" in done.stdout and "--algo.advantage.is_correction_level" in done.stdout
    assert done.stdout.index("ThreadWeaver") < done.stdout.index("All flags of openrlhf.cli.train_ppo_ray")
