"""`threadweaver data`: the sub-commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tw_plugins.cli.console import PlainConsole, say_next
from tw_plugins.cli.data_check import register as register_check
from tw_plugins.cli.example import example
from tw_plugins.cli.options import (
    DEFAULTS,
    AnswerKey,
    BaseUrl,
    Concurrency,
    EngineArg,
    MaxThreadTokens,
    MaxTokens,
    PromptKey,
    ReplicaCount,
    Seed,
    ServedName,
    ServerKind,
    Temperature,
    Template,
    TensorParallel,
    TopP,
    VerifierName,
    VerifierTimeout,
)
from tw_plugins.cli.stage1 import register as register_stage1
from tw_plugins.cli.tasks import register as register_tasks
from tw_plugins.errors import visible

__all__ = ["data"]

data = typer.Typer(no_args_is_help=True, help="Models and data for training.")


@data.callback()
def main() -> None:
    """Models and data for training."""


@data.command("toy", epilog=example("threadweaver data toy --out runs/toy"))
def toy(
    out: Annotated[Path, typer.Option(help="Folder for model/ and the Parquet files.")],
    preset: Annotated[
        str, typer.Option(help="standard, smoke or forking (smoke with threads only).")
    ] = "standard",
    seed: Annotated[int, typer.Option(help="Of the model and the training problems.")] = 0,
) -> None:
    """Write the toy task: an untrained model, and problems for SFT, RL and evaluation."""
    from tw_plugins.toy.preset import PRESETS, write_files

    if preset not in PRESETS:
        raise typer.BadParameter(f"choose from {', '.join(PRESETS)}", param_hint="--preset")
    console, files = PlainConsole(), write_files(out, seed, PRESETS[preset])
    for name, path in files.items():
        console.print(f"{name}: {path}", soft_wrap=True)
    say_next(console, "data", "check", files["sft"], "--model", files["model"])


@data.command(
    "add-tokens", epilog=example("threadweaver data add-tokens --model Qwen/Qwen3-8B --out qwen3-8b-threads")
)
def add_tokens(
    model: Annotated[str, typer.Option(help="Folder or name of a Hugging Face causal LM.")],
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist.")],
    trust_remote_code: Annotated[bool, typer.Option(help="Run the model's own code.")] = False,
    chat_template: Template = None,
) -> None:
    """Write MODEL with ThreadWeaver's control tokens to OUT, as training needs it."""
    from tw_plugins.data.add_tokens import add_tokens

    console = PlainConsole()
    with console.working(model):
        added = add_tokens(model, out, trust_remote_code, chat_template)
    ids = sorted(added.ids.values())
    new = f"{len(ids)} control tokens added, ids {ids[0]}–{ids[-1]}" if ids else "had all control tokens"
    rows = f"embedding {added.rows_before} → {added.rows} rows"
    console.print(f"{new}; {rows}; written to {out}", soft_wrap=True)
    one = "" if added.ends.agree else "; all three have it now"
    console.print(Text(visible(added.ends.described() + one)), soft_wrap=True)
    say_next(console, "data", "check", "YOUR-DATA", "--model", out)


@data.command(
    "selftrain",
    epilog=example(
        "threadweaver data selftrain --model M --prompts rl.parquet --out selftrain",
        "threadweaver data selftrain --model M --prompts P --out O --replicas 8",
    ),
)
def selftrain(
    model: Annotated[str, typer.Option(help="Folder or name of a model that writes threads.")],
    prompts: Annotated[Path, typer.Option(help="Problems with answers; `data check --for rl` shows them.")],
    out: Annotated[Path, typer.Option(help="Folder for samples.jsonl, sft.parquet and funnel.json.")],
    samples: Annotated[int, typer.Option(min=1, help="Trajectories per prompt.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N prompts.")] = None,
    keep_tokens: Annotated[
        int | None, typer.Option(min=1, help="Keep samples of at most so many tokens.")
    ] = None,
    min_acceleration: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Keep samples of at least this acceleration ratio.")
    ] = 0.0,
    per_prompt: Annotated[
        int | None, typer.Option(min=1, help="Keep so many per prompt, the fastest; all when not given.")
    ] = None,
    temperature: Temperature = 1.0,  # greedy, the samples of a prompt would all be the same
    top_p: TopP = DEFAULTS.top_p,
    max_tokens: MaxTokens = DEFAULTS.max_tokens,
    max_thread_tokens: MaxThreadTokens = DEFAULTS.max_thread_tokens,
    concurrency: Concurrency = DEFAULTS.concurrency,
    base_url: BaseUrl = None,
    served_model_name: ServedName = None,
    server: ServerKind = "openai",
    replicas: ReplicaCount = None,
    tensor_parallel_size: TensorParallel = None,
    seed: Seed = None,
    engine_arg: EngineArg = None,
    chat_template: Template = None,
    prompt_key: PromptKey = None,
    answer_key: AnswerKey = None,
    verifier: VerifierName = DEFAULTS.verifier,
    verifier_timeout_s: VerifierTimeout = DEFAULTS.verifier_timeout_s,
) -> None:
    """Sample trajectories in parallel mode and make an SFT set of the right, well-formed ones (stage 2).

    Broken off, the same command goes on where it was; other constraints sift the same samples again. Of
    several engines (--replicas) one may be lost.
    """
    from tw_plugins.cli.decoding import decoding
    from tw_plugins.cli.selftrain import run
    from tw_plugins.data.selftrain import Keep

    settings, where = decoding(
        model,
        base_url,
        served_model_name,
        server,
        seed,
        engine_arg,
        replicas,
        tensor_parallel_size,
        chat_template=chat_template,
        prompt_key=prompt_key,
        answer_key=answer_key,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        max_thread_tokens=max_thread_tokens,
        concurrency=concurrency,
        verifier=verifier,
        verifier_timeout_s=verifier_timeout_s,
    )
    if per_prompt is not None and per_prompt > samples:
        raise typer.BadParameter(
            f"{per_prompt} cannot be kept of {samples} per prompt: lower it, or raise --samples",
            param_hint="--per-prompt",
        )
    keep = Keep(keep_tokens, min_acceleration, per_prompt)
    run(model, prompts, out, settings, samples, keep, limit, PlainConsole(), where)


register_check(data)
register_tasks(data)
register_stage1(data)
