"""The command `threadweaver`. Each command imports what it needs when it runs, so `--help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tw_plugins.cli.bench import bench
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.data import data
from tw_plugins.cli.ending import OneLineErrors
from tw_plugins.cli.eval import evaluation
from tw_plugins.cli.example import example
from tw_plugins.cli.options import (
    DEFAULTS,
    BaseUrl,
    EngineArg,
    MaxBlocks,
    MaxThreads,
    MaxThreadTokens,
    MaxTokens,
    ReplicaCount,
    Seed,
    ServedName,
    ServerKind,
    Temperature,
    Template,
    TensorParallel,
    TopP,
)
from tw_plugins.cli.pipeline import pipeline
from tw_plugins.cli.recipes import recipes
from tw_plugins.cli.view import view

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},  # of every command below too
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    help="ThreadWeaver: reasoning in threads, for the RL frameworks you already run.",
)


def _show_version(asked: bool) -> None:
    if asked:
        import tw_plugins

        typer.echo(f"threadweaver {tw_plugins.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """ThreadWeaver: reasoning in threads, for the RL frameworks you already run."""


@app.command(epilog=example("threadweaver doctor", "threadweaver doctor --device cuda --no-ray"))
def doctor(
    ray: Annotated[
        bool, typer.Option(help="Look inside a Ray worker too (starts a small local Ray).")
    ] = True,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N: check attention there thoroughly, with times.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="With --device: bfloat16, float16 or float32; the usual one there.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --device: whose heads; Qwen3-0.6B's when not given.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name each place of the frameworks where ours stands.")
    ] = False,
) -> None:
    """Say whether this machine is ready: versions, plug-in, seams, attention.

    Ends with status 0 when everything needed is there, else with 1.
    """
    from tw_plugins.cli.doctor_output import show
    from tw_plugins.doctor import all_checks, is_healthy
    from tw_plugins.doctor.attention import DTYPES, thorough_checks

    if device is None and (dtype or model):
        raise typer.BadParameter("they are of a device: give --device too", param_hint="--dtype, --model")
    if dtype is not None and dtype not in DTYPES:
        raise typer.BadParameter(f"choose of {', '.join(DTYPES)}", param_hint="--dtype")
    console = PlainConsole()
    with console.working("looking"):
        attention = None if device is None else list(thorough_checks(device, dtype, model))
        checks = list(all_checks(ray, attention))
    show(checks, console, verbose)
    raise typer.Exit(0 if is_healthy(checks) else 1)


@app.command(
    epilog=example('threadweaver rollout --model runs/rl/model --prompt "How many primes are below 50?"')
)
def rollout(
    model: Annotated[str, typer.Option(help="Folder (or name) of a Hugging Face model.")],
    prompt: Annotated[str, typer.Option(help="What the user asks.")],
    mode: Annotated[str, typer.Option(help="parallel or autoregressive.")] = "parallel",
    temperature: Temperature = DEFAULTS.temperature,
    top_p: TopP = DEFAULTS.top_p,
    max_tokens: MaxTokens = DEFAULTS.max_tokens,
    max_thread_tokens: MaxThreadTokens = DEFAULTS.max_thread_tokens,
    base_url: BaseUrl = None,
    served_model_name: ServedName = None,
    server: ServerKind = "openai",
    replicas: ReplicaCount = None,
    tensor_parallel_size: TensorParallel = None,
    seed: Seed = None,
    engine_arg: EngineArg = None,
    chat_template: Template = None,
) -> None:
    """Decode one prompt and watch it: sequential text, and threads side by side as they grow.

    A server's key is read from OPENAI_API_KEY.
    """
    from tw_plugins.cli.decoding import decoding
    from tw_plugins.cli.rollout import run

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
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        max_thread_tokens=max_thread_tokens,
    )
    run(model, prompt, mode, settings, PlainConsole(), where)


@app.command(
    epilog=example(
        "threadweaver serve --model runs/rl/model",
        "threadweaver serve --model M --base-url http://localhost:8000/v1",
    )
)
def serve(
    model: Annotated[str, typer.Option(help="Folder (or name) of a Hugging Face model.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8080,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="THREADWEAVER_API_KEY", help="What clients must send; better in the variable."),
    ] = None,
    max_concurrent: Annotated[
        int, typer.Option(min=1, help="Answers decoded at a time; a client with more is told to come back.")
    ] = 256,
    mode: Annotated[
        str, typer.Option(help="parallel or autoregressive, where a request does not say.")
    ] = "parallel",
    temperature: Temperature = 1.0,
    top_p: TopP = DEFAULTS.top_p,
    max_tokens: MaxTokens = DEFAULTS.max_tokens,
    max_thread_tokens: MaxThreadTokens = DEFAULTS.max_thread_tokens,
    max_threads: MaxThreads = DEFAULTS.max_threads,
    max_blocks: MaxBlocks = DEFAULTS.max_blocks,
    max_model_len: Annotated[
        int | None, typer.Option(min=2, help="Tokens of the longest context; the model's when not given.")
    ] = None,
    base_url: BaseUrl = None,
    served_model_name: Annotated[
        str | None, typer.Option(help="Its name for clients (and on the servers); --model when not given.")
    ] = None,
    server: ServerKind = "openai",
    seed: Seed = None,
    engine_arg: EngineArg = None,
    chat_template: Template = None,
) -> None:
    """Serve a model behind OpenAI's protocol, threads decoded at once (docs/serving.md).

    With vLLM in this process, or in front of servers, whose key is read from OPENAI_API_KEY. Ctrl-C finishes
    what runs.
    """
    from tw_plugins.cli.decoding import decoding
    from tw_plugins.cli.serve import Listening, run

    settings, where = decoding(
        model,
        base_url,
        served_model_name,
        server,
        seed,
        engine_arg,
        None,
        None,
        chat_template=chat_template,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        max_thread_tokens=max_thread_tokens,
        max_threads=max_threads,
        max_blocks=max_blocks,
    )
    listening = Listening(host, port, api_key, max_concurrent)
    run(model, served_model_name or model, mode, settings, where, max_model_len, listening, PlainConsole())


@app.command(epilog=example("threadweaver plan recipes/verl/qwen3_8b_p_grpo.yaml --gpu h100"))
def plan(
    recipe: Annotated[
        Path,
        typer.Argument(help="A verl recipe (YAML), an OpenRLHF one (shell script), or a pipeline's file."),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="On top of it, as the framework takes them; flags after --."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder with a config.json, or e.g. Qwen3-8B; else the recipe's.")
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            help="rtx4090, l4, a100-40, l40s, a100, h100, h200 or b200; else the pipeline's, or h100."
        ),
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="On a node; else the recipe's.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Else the recipe's.")] = None,
    mean_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of a response; else a third of the longest.")
    ] = None,
    measure: Annotated[
        int | None,
        typer.Option(min=1, help="Also run two layers here on so many tokens, and compare the memory."),
    ] = None,
) -> None:
    """Say what a recipe takes before anything starts: memory of a GPU, sequences at once, a step's time.

    Ends with status 0 when it fits, else with 1 and the settings that make it fit.
    """
    from tw_plugins.bench.update import device_named
    from tw_plugins.cli.plan import recipes_in, show, show_measured
    from tw_plugins.planning import config_of
    from tw_plugins.planning import plan as planned
    from tw_plugins.planning.hardware import cluster_for
    from tw_plugins.planning.planners import job_of

    console = PlainConsole()
    fits = True
    for one in recipes_in(recipe):
        with console.working("planning"):
            job = job_of(one.recipe, [*one.settings, *(settings or [])], gpus or 8)
            cluster, config = (
                cluster_for(gpu or one.gpu, gpus or job.gpus_per_node, nodes or job.nodes),
                config_of(model or one.model or job.model),
            )
            found = planned(job, config, cluster, mean_tokens)
        show(found, cluster, console)
        if measure is not None:
            show_measured(found, config, measure, device_named(None), console)
        fits = fits and found.fits
    raise typer.Exit(0 if fits else 1)


@app.command(epilog=example("threadweaver report runs/quickstart/verl"))
def report(
    folder: Annotated[Path, typer.Argument(help="Folder with report.json.")],
) -> None:
    """Draw FOLDER/report.json again as FOLDER/report.html."""
    from tw_plugins.pages.report import read_report, write_report

    PlainConsole().print(str(write_report(read_report(folder), folder)), soft_wrap=True)


app.add_typer(data, name="data")
app.add_typer(pipeline, name="pipeline")
app.add_typer(recipes, name="recipes")
app.add_typer(evaluation, name="eval")
app.add_typer(bench, name="bench")
app.add_typer(view, name="view")
