"""What a plan foresees, against arithmetic by hand and against the model's own code at another depth."""

from __future__ import annotations

import io
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3Config
from typer.testing import CliRunner

from tests.support.messages import assert_message
from tests.support.root import ROOT
from tw_plugins.cli.app import app
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.plan import show
from tw_plugins.planning import (
    GIB,
    GPUS,
    Cluster,
    Job,
    ModelSize,
    PlanError,
    Remedy,
    Rollout,
    State,
    Training,
    config_of,
    plan,
)
from tw_plugins.planning.activations import activations, peak_of_step, with_layers
from tw_plugins.planning.duration import STEP_S, USED_BANDWIDTH, USED_FLOPS, service_times
from tw_plugins.planning.memory import ASLEEP, ENGINE_OVERHEAD
from tw_plugins.planning.simulation import MEASURED
from tw_plugins.planning.simulation.client import FULL

LAYERS, HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 4, 64, 160, 4, 2, 16, 512
CONFIG = Qwen3Config(
    vocab_size=VOCABULARY,
    hidden_size=HIDDEN,
    intermediate_size=FFN,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    num_key_value_heads=KV_HEADS,
    head_dim=HEAD_DIM,
    tie_word_embeddings=False,
)
LAYER = HIDDEN * HEAD_DIM * (2 * HEADS + 2 * KV_HEADS) + 3 * HIDDEN * FFN + 2 * HIDDEN + 2 * HEAD_DIM
ENDS = 2 * VOCABULARY * HIDDEN
PARAMETERS = LAYERS * LAYER + ENDS + HIDDEN
TOKENS = 300
BF16 = torch.bfloat16


def test_sizes_by_hand() -> None:
    kv = LAYERS * 2 * KV_HEADS * HEAD_DIM * 2
    assert ModelSize.of(CONFIG) == ModelSize(PARAMETERS, LAYER, ENDS, kv)


@pytest.mark.parametrize(
    ("name", "billions"),
    [("Qwen3-0.6B", 0.596), ("Qwen/Qwen3-1.7B", 1.721), ("Qwen3-4B", 4.022), ("Qwen3-8B", 8.191)],
)
def test_sizes_as_published(name: str, billions: float) -> None:
    assert ModelSize.of(config_of(name)).parameters / 1e9 == pytest.approx(billions, abs=1e-3)


def test_with_checkpointing_a_layer_keeps_its_input() -> None:
    assert activations(CONFIG, TOKENS, BF16, True, 16).kept == LAYERS * TOKENS * HIDDEN * 2


@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("layers", [1, 3, 7])
def test_any_depth_follows_from_two(layers: int, checkpointing: bool) -> None:
    deeper = with_layers(CONFIG, layers)
    foreseen = activations(deeper, TOKENS, BF16, checkpointing, 16).total
    assert foreseen == pytest.approx(peak_of_step(deeper, TOKENS, BF16, checkpointing, 16), rel=0.01)


def test_chunks_keep_the_logits_small_and_nothing_grows_with_the_square_of_the_length() -> None:
    chunks, whole = (activations(CONFIG, TOKENS, BF16, True, chunk).total for chunk in (16, None))
    assert whole - chunks > (TOKENS - 16) * VOCABULARY * 4 * 2  # logits and their gradient, float32
    long, longer = (activations(CONFIG, n, BF16, True, 400).total for n in (4000, 8000))
    assert longer == pytest.approx(2 * long, rel=0.05)


TRAINING = Training(
    gpus=4,
    state=State(4, 4, 8, 4, 4, 4),
    row_tokens=TOKENS,
    at_once=TOKENS,
    checkpointing=True,
    chunk=16,
)
ROLLOUT = Rollout(
    gpus=4,
    tensor_parallel=2,
    share=0.5,
    context=TOKENS,
    trajectories=100,
    max_tokens=240,
    timeout_s=3600,
    colocated=True,
    sleeps=True,
    state_stays=True,
)
JOB = Job("job", "verl", 1, 4, None, TRAINING, ROLLOUT)
CLUSTER = Cluster(GPUS["h100"], 4)


def moments(job: Job, cluster: Cluster = CLUSTER) -> dict[str, dict[str, int]]:
    return {moment.name: moment.parts for moment in plan(job, CONFIG, cluster).moments}


def test_memory_by_hand() -> None:
    found = moments(JOB)
    update, step, rollout = found["forward and backward"], found["the optimizer's step"], found["rollout"]
    used = activations(CONFIG, TOKENS, BF16, True, 16)
    assert update == {
        "weights": PARAMETERS,
        "gradients": PARAMETERS,
        "optimizer": 2 * PARAMETERS,
        "vLLM": ASLEEP,
        "gathered weights": 2 * (2 * LAYER + ENDS),
        "kept by layers": used.kept,
        "passing": used.passing,
    }
    assert step == {name: update[name] for name in ("weights", "gradients", "optimizer", "vLLM")}
    assert rollout["weights"] == PARAMETERS and rollout["optimizer"] == 2 * PARAMETERS
    vllm = rollout["vLLM's weights"] + rollout["vLLM's workspace"] + rollout["KV cache"]
    assert (rollout["vLLM's weights"], vllm) == (PARAMETERS, 40 * GIB)


def test_what_is_elsewhere_takes_nothing() -> None:
    offloaded = replace(
        TRAINING, state=replace(TRAINING.state, optimizer_offloaded=True), kept_offloaded=True
    )
    apart = replace(ROLLOUT, colocated=False)
    found = moments(replace(JOB, training=offloaded, rollout=apart))
    update = found["forward and backward"]
    assert (update["optimizer"], update["kept by layers"], update["vLLM"]) == (0, 0, 0)
    assert "optimizer" not in found["rollout"]
    awake = moments(replace(JOB, rollout=replace(ROLLOUT, sleeps=False)))
    assert awake["forward and backward"]["vLLM"] == 40 * GIB


def test_the_cache_by_hand() -> None:
    found = plan(JOB, CONFIG, CLUSTER, mean_tokens=140).rollout
    assert found is not None
    kv = ModelSize.of(CONFIG).kv_bytes
    assert found.kv_tokens == int((80 * GIB - 2 * PARAMETERS - 2 * ENGINE_OVERHEAD) / kv)
    assert (found.given, found.at_once) == (50, 50)
    small = replace(ROLLOUT, share=(2 * ENGINE_OVERHEAD + 2 * PARAMETERS + 1000 * kv) / (160 * GIB))
    found = plan(replace(JOB, rollout=small), CONFIG, CLUSTER, mean_tokens=140).rollout
    assert found is not None and found.at_once == 5  # 140 tokens and a prompt of 60 each


def test_service_times_by_hand() -> None:
    """Of an engine of two cards."""
    found, bandwidth = service_times(ModelSize.of(CONFIG), ROLLOUT, CLUSTER), 2 * 3350e9 * USED_BANDWIDTH
    assert found.step == pytest.approx(2 * PARAMETERS / bandwidth + STEP_S)
    assert found.context == pytest.approx(LAYERS * 2 * KV_HEADS * HEAD_DIM * 2 / bandwidth)
    assert found.prompt == found.sequence == pytest.approx(PARAMETERS / (989e12 * USED_FLOPS))


def test_agent_loop_workers_by_hand() -> None:
    found = plan(JOB, CONFIG, CLUSTER, mean_tokens=140).rollout
    assert found is not None and found.estimate is not None
    requests = 100 * (6.26 * 3.58 + 1)
    assert found.requests == round(requests)
    busy = requests * MEASURED.request + 100 * MEASURED.trajectory
    assert found.workers == math.ceil(busy / (FULL * found.estimate.generate)) > 1
    tiny = replace(ROLLOUT, share=0.02)
    without = plan(replace(JOB, rollout=tiny), CONFIG, CLUSTER).rollout
    assert without is not None and without.workers is None


@pytest.mark.parametrize(
    ("given", "said"),
    [(1, r"! agent-loop workers: 1, \d+ needed.*set .*num_workers=\d+"), (999, "workers: 999, ")],
)
def test_too_few_agent_loop_workers_are_a_warning(given: int, said: str) -> None:
    output = io.StringIO()
    job = replace(JOB, rollout=replace(ROLLOUT, workers=given))
    show(plan(job, CONFIG, CLUSTER, mean_tokens=140), CLUSTER, PlainConsole(file=output, width=200))
    assert_says(output.getvalue(), said)
    assert output.getvalue().endswith("it fits\n") and ("! agent" in output.getvalue()) == (given == 1)


def problem(job: Job, cluster: Cluster = CLUSTER) -> str:
    (found,) = plan(job, CONFIG, cluster).problems
    return found


def assert_says(said: str, pattern: str) -> None:
    assert re.search(pattern, said), said


def test_what_is_too_much_is_named() -> None:
    tiny = Cluster(replace(GPUS["l4"], gib=3.01), 4)  # 10 MiB for a run
    assert_says(
        problem(replace(JOB, rollout=None, training=replace(TRAINING, chunk=None, at_once=6000)), tiny),
        r"forward and backward: \d",
    )
    assert_says(
        problem(replace(JOB, rollout=replace(ROLLOUT, share=0.97))),
        r"rollout: 77\.\d GiB on a GPU, 77\.0 are there",
    )
    none_left = replace(ROLLOUT, share=0.02)
    assert_says(problem(replace(JOB, rollout=none_left)), "KV cache of an engine: 0 tokens, .* have 300")
    assert_says(problem(JOB, Cluster(GPUS["h100"], 2)), "the recipe asks for 4 GPUs, 2 are there")
    wide = replace(ROLLOUT, tensor_parallel=8)
    assert_says(problem(replace(JOB, rollout=wide)), "an engine takes 8 GPUs, 4 roll out")
    hasty = replace(ROLLOUT, timeout_s=0.1)
    assert_says(problem(replace(JOB, rollout=hasty)), r"rollouts take about .* may wait for 0 s")


def test_only_remedies_that_help_are_told_the_first_three() -> None:
    wide = replace(JOB, rollout=replace(ROLLOUT, share=0.97))
    better = [
        Remedy(f"share={share}", replace(JOB, rollout=replace(ROLLOUT, share=share)))
        for share in (0.5, 0.6, 0.7, 0.8)
    ]
    found = plan(replace(wide, remedies=[Remedy("nothing", wide), *better]), CONFIG, CLUSTER)
    assert found.remedies == ("share=0.5", "share=0.6", "share=0.7")


def threadweaver(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", *arguments], env={**os.environ, "COLUMNS": "120"})


OPENRLHF = str(ROOT / "recipes" / "openrlhf" / "train_qwen3_8b_p_grpo.sh")


def test_the_command_says_what_there_is_and_that_it_fits() -> None:
    done = threadweaver(OPENRLHF, "--model", "Qwen3-8B")
    assert done.exit_code == 0, done.output
    for said in ("8.19 billion parameters on 1 × 8 h100", "KV cache", "a step: about", "it fits"):
        assert said in done.output


def test_the_command_says_what_makes_it_fit() -> None:
    done = threadweaver(OPENRLHF, "--model", "Qwen3-8B", "--", "--ds.zero_stage 0")
    assert done.exit_code == 1
    assert "✗ forward and backward" in done.output and "fits with  --ds.zero_stage 3" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml is no file: give a recipe"),
        ([OPENRLHF], "the recipe names no model: give one by --model"),
        ([OPENRLHF, "--model", "nothing"], "'nothing' is no folder with a config.json"),
        ([OPENRLHF, "--model", "Qwen3-8B", "--gpu", "x"], "--gpu is 'x': choose one of rtx4090, l4"),
        ([str(ROOT / "pyproject.toml")], "neither a YAML file, .* nor a shell script"),
        ([str(ROOT / "scripts" / "setup_env.sh")], r"has no flags in arrays ARGS=\("),
        ([OPENRLHF, "--", "--rollout.batch_size", "many"], "invalid int value: 'many'"),
    ],
)
def test_what_cannot_be_planned_is_one_line(arguments: list[str], said: str) -> None:
    done = threadweaver(*arguments)
    assert done.exit_code == 2
    assert_message(" ".join(done.output.split()), said)


def test_a_folder_with_a_config(tmp_path: Path) -> None:
    CONFIG.save_pretrained(tmp_path)
    assert ModelSize.of(config_of(str(tmp_path))).parameters == PARAMETERS
    with pytest.raises(PlanError, match=r"is no folder with a config\.json"):
        config_of(str(tmp_path / "deeper"))
