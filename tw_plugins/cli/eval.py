"""`threadweaver eval`: the sub-commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.example import example
from tw_plugins.cli.options import (
    DEFAULTS,
    AnswerKey,
    AnswerLine,
    BaseUrl,
    Concurrency,
    EngineArg,
    Instruction,
    MaxBlocks,
    MaxThreads,
    MaxThreadTokens,
    MaxTokens,
    PromptKey,
    ReplicaCount,
    Seed,
    ServedName,
    ServerKind,
    Template,
    TensorParallel,
    Tolerance,
    TopP,
    VerifierTimeout,
    WallClock,
    option,
)
from tw_plugins.evaluation.benchmarks import BENCHMARKS

__all__ = ["evaluation"]

evaluation = typer.Typer(
    no_args_is_help=True,
    help="Evaluate a model, repeat that, compare two evaluations, join several, time two models.",
)


@evaluation.command(
    "run",
    epilog=example(
        "threadweaver eval run --model runs/rl/model --data aime24 --out runs/eval",
        "threadweaver eval run --model M --data aime24 --out O --replicas 8",
    ),
)
def eval_run(
    model: Annotated[str, typer.Option(help="Folder (or name) of a Hugging Face model.")],
    data: Annotated[
        str,
        typer.Option(
            help=f"A benchmark ({', '.join(BENCHMARKS)}); or any file, folder or data set of the hub with "
            "problems and answers, as `data check --for eval` shows it."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for MODE.jsonl, summary.json, report.md and manifest.json.")
    ],
    mode: Annotated[str, typer.Option(help="parallel, autoregressive or both.")] = "both",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N problems.")] = None,
    instruction: Instruction = DEFAULTS.instruction,
    chat_template: Template = None,
    prompt_key: PromptKey = None,
    answer_key: AnswerKey = None,
    temperature: Annotated[
        float | None, option("temperature", "When not given, 1 for a benchmark's name, else 0.")
    ] = None,
    top_p: TopP = DEFAULTS.top_p,
    max_tokens: MaxTokens = DEFAULTS.max_tokens,
    max_thread_tokens: MaxThreadTokens = DEFAULTS.max_thread_tokens,
    max_threads: MaxThreads = DEFAULTS.max_threads,
    max_blocks: MaxBlocks = DEFAULTS.max_blocks,
    concurrency: Concurrency = DEFAULTS.concurrency,
    wall_clock: WallClock = DEFAULTS.wall_clock_problems,
    tolerance: Tolerance = DEFAULTS.tolerance,
    answer_line: AnswerLine = DEFAULTS.answer_line,
    verifier: Annotated[
        str | None, option("verifier", "When not given, choice for a benchmark of choices, else math.")
    ] = None,
    verifier_timeout_s: VerifierTimeout = DEFAULTS.verifier_timeout_s,
    samples: Annotated[
        int | None, option("samples", "When not given, as many as is usual for a benchmark, else 1.")
    ] = None,
    base_url: BaseUrl = None,
    served_model_name: ServedName = None,
    server: ServerKind = "openai",
    replicas: ReplicaCount = None,
    tensor_parallel_size: TensorParallel = None,
    seed: Seed = None,
    engine_arg: EngineArg = None,
) -> None:
    """Evaluate a model on problems of known answers, with vLLM in this process, on Ray or on servers.

    Prints accuracy, format, token latency and activation; the last line is a summary. Broken off, the same
    command goes on where it was. A server's key is read from OPENAI_API_KEY. Of several engines (--replicas)
    one may be lost.
    """
    from tw_plugins.cli.decoding import decoding
    from tw_plugins.cli.eval_run import parse_modes, run
    from tw_plugins.evaluation.benchmarks import sampling_of, verifier_of

    samples, temperature = sampling_of(data, samples, temperature)
    settings, where = decoding(
        model,
        base_url,
        served_model_name,
        server,
        seed,
        engine_arg,
        replicas,
        tensor_parallel_size,
        instruction=instruction,
        chat_template=chat_template,
        prompt_key=prompt_key,
        answer_key=answer_key,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        max_thread_tokens=max_thread_tokens,
        max_threads=max_threads,
        max_blocks=max_blocks,
        concurrency=concurrency,
        wall_clock_problems=wall_clock,
        tolerance=tolerance,
        answer_line=answer_line,
        verifier=verifier_of(data, verifier),
        verifier_timeout_s=verifier_timeout_s,
        samples=samples,
    )
    run(model, data, parse_modes(mode), out, settings, limit, PlainConsole(), where)


@evaluation.command("rerun", epilog=example("threadweaver eval rerun runs/eval/aime24"))
def eval_rerun(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The --out of an evaluation.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the repetition; FOLDER-rerun if not given.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Where the model is, if not where it was.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the problems are, if not where they were.")] = None,
    base_url: BaseUrl = None,
    served_model_name: ServedName = None,
    concurrency: Annotated[
        int | None, option("concurrency", "As it was when not given; 1 decodes each alone.")
    ] = None,
) -> None:
    """Repeat an evaluation from its manifest.json, and say sample by sample what differs and why it may.

    Greedy on the same machine, nothing differs. Broken off, the same command goes on where it was.
    """
    from tw_plugins.cli.eval_rerun import changed, rerun
    from tw_plugins.evaluation.manifest import read_asked

    asked = changed(read_asked(folder), model, data, base_url or [], served_model_name, concurrency)
    rerun(folder, out or folder.with_name(f"{folder.resolve().name}-rerun"), asked, PlainConsole())


@evaluation.command("compare", epilog=example("threadweaver eval compare runs/eval/own runs/eval/baseline"))
def eval_compare(
    own: Annotated[Path, typer.Argument(metavar="A", help="Folder of an evaluation.")],
    baseline: Annotated[Path, typer.Argument(metavar="B", help="Folder of the baseline's.")],
    mode_a: Annotated[str, typer.Option(help="Mode of A: parallel or autoregressive.")] = "parallel",
    mode_b: Annotated[str, typer.Option(help="Mode of B.")] = "autoregressive",
    out: Annotated[Path | None, typer.Option(help="Write the Markdown here instead of showing it.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")] = None,
) -> None:
    """Compare A with B on the same problems: accuracy, speed-up, redundancy, with confidence intervals."""
    from tw_plugins.cli.eval_folders import compare_folders

    text = compare_folders(own, baseline, mode_a, mode_b, out, json_out)
    PlainConsole().print(text if out is None else str(out), soft_wrap=True)


@evaluation.command(
    "table",
    epilog=example("threadweaver eval table aime24 amc23 --baseline b-aime24 --baseline b-amc23"),
)
def eval_table(
    own: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Evaluations, one of each data set.")
    ],
    baseline: Annotated[
        list[Path] | None,
        typer.Option(help="A baseline's evaluation of one of the data sets; once for each."),
    ] = None,
    mode_a: Annotated[
        str, typer.Option(help="Mode of the FOLDERs: parallel or autoregressive.")
    ] = "parallel",
    mode_b: Annotated[str, typer.Option(help="Mode of the baseline's.")] = "autoregressive",
    out: Annotated[Path | None, typer.Option(help="Write the Markdown here instead of showing it.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")] = None,
) -> None:
    """Join evaluations on several data sets in one table, beside the paper's figures (its Table 1)."""
    from tw_plugins.cli.eval_folders import table_of_folders

    text = table_of_folders(own, baseline or [], mode_a, mode_b, out, json_out)
    PlainConsole().print(text if out is None else str(out), soft_wrap=True)


@evaluation.command(
    "clock",
    epilog=example("threadweaver eval clock --model M --baseline B --data aime24 --out clock"),
)
def eval_clock(
    model: Annotated[str, typer.Option(help="Folder (or name) of the model, decoded in parallel mode.")],
    baseline: Annotated[
        str, typer.Option(help="Folder (or name) of the baseline, decoded autoregressively.")
    ],
    data: Annotated[str, typer.Option(help="File of problems or name of a benchmark, as in `eval run`.")],
    out: Annotated[Path, typer.Option(help="Folder for clock.jsonl and summary.json.")],
    problems: Annotated[
        int, typer.Option(min=1, help="How many; the first decomposable ones of the file.")
    ] = 30,
    max_tokens: MaxTokens = DEFAULTS.max_tokens,
    instruction: Instruction = DEFAULTS.instruction,
    chat_template: Template = None,
    prompt_key: PromptKey = None,
    answer_key: AnswerKey = None,
    engine_arg: EngineArg = None,
) -> None:
    """Time a model against a baseline: each problem decoded greedily by both back to back, at batch size 1.

    Prints the median of the ratios, and how much of the machine other work took. Broken off, the same
    command goes on where it was.
    """
    from tw_plugins.cli.clock import run
    from tw_plugins.cli.decoding import parse_engine_args
    from tw_plugins.evaluation.run import EvalSettings

    settings = EvalSettings(
        instruction=instruction,
        chat_template=chat_template,
        prompt_key=prompt_key,
        answer_key=answer_key,
        max_tokens=max_tokens,
        engine_args=parse_engine_args(engine_arg or []),
    )
    run(model, baseline, data, out, problems, settings, PlainConsole())
