"""Each setting that cannot work is named, with what to set instead, before any process starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import verl.utils.config as verl_config
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config

from tests.support.fakes import char_tokenizer
from tests.support.messages import assert_message
from tests.support.verl.configs import compose, rl_config
from tw_plugins.adapter import versions
from tw_plugins.adapter.vocabulary import VocabularyError
from tw_plugins.storage.parquet import DataFileError
from tw_plugins.trajectory import TAGS, ControlTokenError
from verl_ext import preflight
from verl_ext.engine_settings import split_problems
from verl_ext.seams import SUPPORTED
from verl_ext.settings import KEY, REWARD_KEY, SettingsError
from verl_ext.weight_bucket import KEY as BUCKET

Toy = dict[str, Path]
ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"

ULYSSES = "actor_rollout_ref.actor.ulysses_sequence_parallel_size"
PACKED = "actor_rollout_ref.model.use_remove_padding=true"

WRONG_SETTINGS = {
    "unknown key": (["{key}.max_thread=3"], "has no setting max_thread; the settings are .*max_threads"),
    "unknown mode": (["{key}.mode=parralel"], "mode='parralel': must be one of parallel, autoregressive"),
    "unknown layout": (["{key}.layout=tree"], "layout='tree': must be one of trie, rows"),
    "no deadline": (["{key}.engine_timeout_s=0"], "engine_timeout_s is 0.*positive number of seconds"),
    "unknown request ids": (["{key}.request_ids=x"], "request_ids='x': must be one of trajectory, thread"),
    "contradicting limits": (
        ["{key}.max_tokens=100", "{key}.answer_reserve=100"],
        r"answer_reserve \(100\) must be below max_tokens \(100\)",
    ),
    "limit out of range": (["{key}.max_tokens=0"], "max_tokens is 0, must be at least 1"),
    "too many threads": (["{key}.max_threads=51"], "max_threads is 51"),
    "attention without a mask": ([f"{ATTENTION}=flash_attention_2"], "not flash_attention_2: set .*=trie"),
    "verl's default attention": (
        ["actor_rollout_ref.model.override_config=null"],
        "not flash_attention_2: set .*=trie",
    ),
    "rows split over more GPUs than there are": (
        [f"{ULYSSES}=2", PACKED],
        "ulysses_sequence_parallel_size=2 does not divide the 1 GPUs that train: set one that does, or 1",
    ),
    "padded rows split": (
        [f"{ULYSSES}=2", "trainer.n_gpus_per_node=2", "actor_rollout_ref.model.use_remove_padding=false"],
        "=2 splits rows that are packed: set actor_rollout_ref.model.use_remove_padding=True, or .*size=1",
    ),
    "heads that cannot be dealt out": (
        [f"{ULYSSES}=8", PACKED, "trainer.n_gpus_per_node=8"],
        r"=8: qwen3 has \d attention heads, which 8 ranks do not divide.*another number, or 1",
    ),
    "flash attention on split rows": (
        [f"{ULYSSES}=2", PACKED, "trainer.n_gpus_per_node=2", f"{ATTENTION}=flash_attention_2"],
        "not flash_attention_2: set .*=trie",
    ),
    "megatron": (
        ["actor_rollout_ref.actor.strategy=megatron"],
        "not megatron: set actor.strategy=fsdp2 .*layout=rows",
    ),
    "p_grpo on rows": (
        ["{key}.layout=rows"],
        "one row per trajectory.*adv_estimator=grpo algorithm.norm_adv_by_std_in_grpo=False",
    ),
    "context too small": (
        ["actor_rollout_ref.rollout.max_model_len=1000"],
        "max_model_len=1000 is less than .* = 256 [+] 768: set it to 1024",
    ),
    "dynamic batch too small": (
        [
            "actor_rollout_ref.actor.use_dynamic_bsz=true",
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=1700",
        ],
        "ppo_max_token_len_per_gpu=1700 is less than .* = 1792: raise",
    ),
    "dynamic batch too small for its ranks": (
        [
            f"{ULYSSES}=2",
            PACKED,
            "trainer.n_gpus_per_node=2",
            "actor_rollout_ref.actor.use_dynamic_bsz=true",
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=895",
        ],
        "ppo_max_token_len_per_gpu=895 is less than .* = 1792, over 2 ranks: raise",
    ),
    "unknown reward setting": (
        ["reward.custom_reward_function.reward_kwargs.roh=1"],
        "reward_kwargs has no setting roh; the settings are .*rho, rho_clip, .*",
    ),
    "a bonus that verl's own trainer does not pay": (
        [
            "reward.custom_reward_function.reward_kwargs.acceleration=critical_path",
            "trainer.v1.trainer_mode=sync",
        ],
        "compares the trajectories of a group, .*: set trainer.v1.trainer_mode=threadweaver_sync",
    ),
    "unknown acceleration": (
        ["reward.custom_reward_function.reward_kwargs.acceleration=speed"],
        "acceleration='speed': must be one of eta, critical_path, none",
    ),
    "negative rho": (
        ["reward.custom_reward_function.reward_kwargs.rho=-1"],
        "reward_kwargs.rho=-1: must be a finite number, at least 0",
    ),
    "rho as a word": (["{reward}.rho=half"], "reward_kwargs.rho='half': must be a finite number"),
    "rho in quotes": (["{reward}.rho='0.5'"], "reward_kwargs.rho='0.5': must be a finite number"),
    "no rho": (["{reward}.rho=null"], "reward_kwargs.rho=None: must be a finite number"),
    "rho that is no number": (["{reward}.rho=.nan"], "reward_kwargs.rho=nan: must be a finite number"),
    "wrong as a word": (["{reward}.wrong=zero"], "reward_kwargs.wrong='zero': must be a finite number"),
    "wrong pays more": (["{reward}.wrong=5"], "wrong=5: wrong [+] format_weight must be below 1"),
    "format as a word": (["{reward}.format_weight=high"], "format_weight='high': must be a finite number"),
    "infinite format": (["{reward}.format_weight=.inf"], "format_weight=inf: must be a finite number"),
    "reward settings that are none": (
        ["{reward}=on"],
        "reward_kwargs=True: it must hold settings, e.g. .*rho",
    ),
    "deadline with a unit": (["{key}.engine_timeout_s='10m'"], "engine_timeout_s='10m': must be a finite"),
    "null deadline": (["{key}.engine_timeout_s=null"], "engine_timeout_s=None: must be a finite number"),
    "endless deadline": (["{key}.engine_timeout_s=.inf"], "engine_timeout_s=inf: must be a finite number"),
    "deadline of a century": (["{key}.engine_timeout_s=3.0e+9"], "engine_timeout_s is 3.*at most a year"),
    "tokens as a word": (["{key}.max_tokens=many"], "max_tokens='many': must be a whole number or null"),
    "half a token": (["{key}.max_tokens=100.5"], "max_tokens=100.5: must be a whole number or null"),
    "blocks in quotes": (["{key}.max_blocks='3'"], "max_blocks='3': must be a whole number"),
    "threads that are a switch": (["{key}.max_threads=true"], "max_threads=True: must be a whole number"),
    "settings that are a switch": (["{key}=on"], "threadweaver=True: it must hold settings, e.g. .*=8"),
    "custom that is a switch": (
        ["actor_rollout_ref.rollout.custom=on"],
        "custom=True: it must hold settings, e.g. .*custom.threadweaver",
    ),
}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_a_wrong_setting_is_named(toy: Toy, case: str) -> None:
    overrides, pattern = WRONG_SETTINGS[case]
    config = rl_config(toy, *(override.format(key=KEY, reward=REWARD_KEY) for override in overrides))
    with pytest.raises(SettingsError) as error:
        preflight.check(config)
    assert_message(error.value, pattern)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verl.utils.device.get_device_name", lambda: "cuda")
    monkeypatch.setattr("verl_ext.preflight.check_memory", lambda *_: [])


@pytest.mark.parametrize(
    "asked", [f"{ATTENTION}=flash_attention_3", "actor_rollout_ref.model.override_config=null"]
)
def test_on_gpus_flash_attention_need_not_be_changed(
    toy: Toy, asked: str, caplog: pytest.LogCaptureFixture, on_a_gpu: None
) -> None:
    config = rl_config(toy, asked)
    preflight.check(config)
    assert config.actor_rollout_ref.model.override_config.attn_implementation == "trie"
    assert sum("takes no mask: rows with branches are" in message for message in caplog.messages) == 1


def test_rows_per_request_keep_flash_attention(toy: Toy, on_a_gpu: None) -> None:
    rows = (f"{KEY}.layout=rows", "algorithm.adv_estimator=grpo", "algorithm.norm_adv_by_std_in_grpo=false")
    config = rl_config(toy, f"{ATTENTION}=flash_attention_2", *rows)
    preflight.check(config)
    assert config.actor_rollout_ref.model.override_config.attn_implementation == "flash_attention_2"


def test_all_problems_come_at_once(toy: Toy) -> None:
    config = rl_config(toy, f"{ATTENTION}=flash_attention_2", "actor_rollout_ref.rollout.max_model_len=1000")
    with pytest.raises(SettingsError) as error:
        preflight.check(config)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("place", [ULYSSES, ULYSSES.replace("actor.uly", "actor.fsdp_config.uly")])
def test_rows_can_be_split(toy: Toy, place: str) -> None:
    """A rank needs room for its part of a row only."""
    dynamic = "actor_rollout_ref.actor.use_dynamic_bsz=true"
    room = "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=896"
    preflight.check(rl_config(toy, f"{place}=2", PACKED, "trainer.n_gpus_per_node=2", dynamic, room))


def test_of_key_heads_verl_wants_more_than_we_do() -> None:
    """An assert of its `apply_monkey_patch`, which is made whatever the attention."""
    config = Qwen3Config(num_attention_heads=12, num_key_value_heads=6)
    (problem,) = split_problems(config, 4, preflight.KEYS)
    assert_message(problem, f"^{ULYSSES}=4: verl wants it to divide the model's 6 key heads, or .*or to 1")
    assert not [*split_problems(config, 3, preflight.KEYS), *split_problems(config, 12, preflight.KEYS)]


def test_rows_are_fine_with_verls_own_estimator(toy: Toy) -> None:
    preflight.check(
        rl_config(
            toy,
            f"{KEY}.layout=rows",
            f"{ATTENTION}=flash_attention_2",
            "algorithm.adv_estimator=grpo",
            "algorithm.norm_adv_by_std_in_grpo=false",
        )
    )


@pytest.mark.parametrize(
    ("override", "warning"),
    [
        ("actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean", "Eq. 4 of P-GRPO is token-mean"),
        ("actor_rollout_ref.actor.ppo_mini_batch_size=8", "several updates a step"),
        ("reward.custom_reward_function.path=pkg://mine", "must grade extra_info"),
        ("actor_rollout_ref.rollout.top_p=0.95", "top_p=0.95: the rollout samples of a part of the softmax"),
        ("actor_rollout_ref.rollout.top_k=20", "top_k=20: the rollout samples of a part of the softmax"),
        ("actor_rollout_ref.model.lora_rank=8", "lora_rank=8: LoRA leaves embedding and head as they are"),
    ],
)
def test_what_deviates_from_the_paper_is_allowed_but_said(
    toy: Toy, override: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    preflight.check(rl_config(toy, override))
    assert any(warning in message for message in caplog.messages)


@pytest.mark.parametrize(("mode", "said"), [("sync", True), ("threadweaver_sync", False)])
def test_a_bypass_that_nothing_watches_is_said(
    toy: Toy, mode: str, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bypass = "algorithm.rollout_correction.bypass_mode=true"
    preflight.check(rl_config(toy, bypass, f"trainer.v1.trainer_mode={mode}"))
    assert any("nothing would show that the actor disagrees" in line for line in caplog.messages) is said


# ---------------------------------------------------------------- data


def parquet(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def wrong_file(name: str, folder: Path) -> Path:
    path = folder / "wrong.parquet"
    if name == "not parquet":
        path.write_text("prompt,answer\n")
    elif name == "empty":
        parquet(path, prompt=[], data_source=[], reward_model=[])
    elif name == "column":
        parquet(path, prompt=["x"], data_source=["y"])
    return path


@pytest.mark.parametrize("setting", ["train_files", "val_files"])
@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("missing", "wrong.parquet is no file or folder: check the path"),
        ("not parquet", "wrong.parquet cannot be read as Parquet: "),
        ("empty", "wrong.parquet has no rows"),
        ("column", "row 0 has no column reward_model.ground_truth or .*; it has prompt, data_source"),
    ],
)
def test_a_wrong_data_file_is_named(tmp_path: Path, toy: Toy, setting: str, kind: str, pattern: str) -> None:
    config = rl_config(toy, f"data.{setting}={wrong_file(kind, tmp_path)}")
    with pytest.raises(DataFileError) as error:
        preflight.check(config)
    assert_message(error.value, f"^data.{setting}: .*{pattern}")


def test_several_files_are_all_looked_at(tmp_path: Path, toy: Toy) -> None:
    config = rl_config(toy, f"data.train_files=[{toy['rl']},{tmp_path / 'no.parquet'}]")
    with pytest.raises(DataFileError, match=r"no\.parquet is no file or folder"):
        preflight.check(config)


def test_what_verl_has_to_fetch_is_left_to_it(toy: Toy) -> None:
    preflight.check(rl_config(toy, "data.train_files=hdfs://somewhere/a.parquet", "data.val_files=null"))


# ---------------------------------------------------------------- model


def check_model(toy: Toy, model: Path) -> None:
    preflight.check(rl_config(toy, f"actor_rollout_ref.model.path={model}"))


def test_a_model_that_is_not_there(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError) as error:
        check_model(toy, tmp_path / "none")
    assert_message(error.value, "no tokenizer and config can be loaded from .*none")


@pytest.mark.parametrize(
    ("tags", "pattern"),
    [
        ([tag for tag in TAGS if tag != "<Thread>"], "no token '<Thread>'.*threadweaver data add-tokens"),
        ([], "no token '<Parallel>'.*threadweaver data add-tokens"),
    ],
)
def test_a_tokenizer_without_control_tokens(toy: Toy, tmp_path: Path, tags: list[str], pattern: str) -> None:
    char_tokenizer(tags).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((toy["model"] / "config.json").read_bytes())
    with pytest.raises(ControlTokenError) as error:
        check_model(toy, tmp_path)
    assert_message(error.value, pattern)


def test_a_control_token_that_is_several_ids(toy: Toy, tmp_path: Path) -> None:
    """In the vocabulary, but no special token: the pre-tokenizer splits it."""
    char_tokenizer([tag for tag in TAGS if tag != "<Thread>"]).save_pretrained(tmp_path)
    core = json.loads((tmp_path / "tokenizer.json").read_text())
    core["model"]["vocab"]["<Thread>"] = 10_000
    (tmp_path / "tokenizer.json").write_text(json.dumps(core))
    (tmp_path / "config.json").write_bytes((toy["model"] / "config.json").read_bytes())
    with pytest.raises(ControlTokenError) as error:
        check_model(toy, tmp_path)
    assert_message(error.value, "splits '<Thread>' into ids .* instead of the one id 10000")


@pytest.mark.parametrize("rows", [-1, 1])
def test_the_models_vocabulary(toy: Toy, tmp_path: Path, rows: int, caplog: pytest.LogCaptureFixture) -> None:
    """Too small is an error; larger (padded to a multiple of 64, say) works, with a word about its price."""
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    model = AutoModelForCausalLM.from_pretrained(toy["model"])
    model.resize_token_embeddings(len(tokenizer) + rows)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    if rows < 0:
        with pytest.raises(VocabularyError) as error:
            check_model(toy, tmp_path)
        assert_message(error.value, r"add-tokens` has written, or resize it \(model.resize_token_embeddings")
    else:
        check_model(toy, tmp_path)
        assert any("log-probs differ" in message for message in caplog.messages)


def test_a_model_that_disagrees_on_its_end_is_named(
    toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = shutil.copytree(toy["model"], tmp_path / "model")
    check_model(toy, model)
    assert not any("end of turn" in message for message in caplog.messages)
    (model / "generation_config.json").write_text('{"eos_token_id": 0}')
    check_model(toy, model)
    assert any(f"{model}: end of turn: the tokenizer" in message for message in caplog.messages)


@pytest.mark.parametrize(("dtype", "need"), [("fp32", 144), ("bf16", 72)])
def test_a_bucket_that_cannot_hold_the_largest_weight(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, need: int
) -> None:
    shutil.copytree(toy["model"], tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    wide = {"hidden_size": 64, "num_attention_heads": 1, "vocab_size": 589_824}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | wide))

    def check_bucket(megabytes: int) -> None:
        settings = (f"{BUCKET}={megabytes}", f"actor_rollout_ref.actor.fsdp_config.model_dtype={dtype}")
        preflight.check(rl_config(toy, f"actor_rollout_ref.model.path={tmp_path / 'model'}", *settings))

    monkeypatch.setattr("verl.utils.device.is_support_ipc", lambda: False)
    with pytest.raises(SettingsError) as error:
        check_bucket(need - 1)
    assert_message(
        error.value, f"={need - 1} cannot hold .*embed_tokens.weight, {need} MiB at .*set it to {need}"
    )
    check_bucket(need)
    monkeypatch.setattr("verl.utils.device.is_support_ipc", lambda: True)
    check_bucket(1)  # a large weight goes by itself


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize("name", ["verl", "vllm", "transformers", "torch"])
def test_an_unsupported_version(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "0.1" if asked == name else real(asked))
    with pytest.raises(versions.UnsupportedVersion) as error:
        SUPPORTED.check()
    assert_message(
        error.value, f"^{name} 0.1 is installed; verl_ext supports {name}[~>]=.*install that version"
    )


def test_only_vllm_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "installed", lambda name: None)
    assert [line.split()[0] for line in SUPPORTED.problems()] == ["verl", "transformers", "torch"]


# ---------------------------------------------------------------- in verl


def test_runs_without_threadweaver_are_left_alone() -> None:
    config = compose("toy_p_grpo")
    assert preflight.uses_threadweaver(config)
    config.algorithm.adv_estimator = "grpo"
    config.actor_rollout_ref.rollout.agent.default_agent_loop = "single_turn_agent"
    config.actor_rollout_ref.rollout.custom = None
    assert preflight.uses_threadweaver(config)
    config.reward.custom_reward_function.path = None
    assert not preflight.uses_threadweaver(config)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"{KEY}.layout=rows", "error: algorithm.adv_estimator=p_grpo needs one row per trajectory"),
        (f"{KEY}.max_tokens=many", "error: .*max_tokens='many': must be a whole number or null"),
        ("data.train_files=/none.parquet", "error: data.train_files: /none.parquet is no file or folder"),
        ("actor_rollout_ref.model.path=/none", "error: no tokenizer and config can be loaded from /none"),
    ],
)
def test_a_wrong_setting_ends_the_command_in_one_line(toy: Toy, override: str, message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        verl_config.validate_config(rl_config(toy, override), use_reference_policy=False, use_critic=False)
    assert_message(str(stopped.value), f"^{message}")
    assert len(str(stopped.value).splitlines()) == 1
