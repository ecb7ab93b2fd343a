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
from tw_plugins.cli.options import (
    DEFAULTS,
    BaseUrl,
    EngineArg,
    MaxThreadTokens,
    MaxTokens,
    Seed,
    ServedName,
    ServerKind,
    Temperature,
    Template,
    TopP,
)
from tw_plugins.cli.view import view

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    help="ThreadWeaver: reasoning in threads, for the RL frameworks you already run.",
)


@app.callback()
def main() -> None:
    """ThreadWeaver: reasoning in threads, for the RL frameworks you already run."""


@app.command()
def doctor(
    ray: Annotated[
        bool, typer.Option(help="Look inside a Ray worker too (starts a small local Ray).")
    ] = True,
) -> None:
    """Say whether this machine is ready: versions, plug-in, seams, attention.

    Ends with status 0 when everything needed is there, else with 1.
    """
    from tw_plugins.cli.doctor_output import show
    from tw_plugins.doctor import all_checks, is_healthy

    console = PlainConsole()
    with console.working("looking"):
        checks = list(all_checks(with_ray=ray))
    show(checks, console)
    raise typer.Exit(0 if is_healthy(checks) else 1)


@app.command()
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
    seed: Seed = None,
    engine_arg: EngineArg = None,
    chat_template: Template = None,
) -> None:
    """Decode one prompt and watch it: sequential text, and threads side by side as they grow.

    On a server a text is shown when it is whole. A server's key is read from OPENAI_API_KEY.
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
        chat_template=chat_template,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        max_thread_tokens=max_thread_tokens,
    )
    run(model, prompt, mode, settings, PlainConsole(), where)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder with report.json.")],
) -> None:
    """Draw FOLDER/report.json again as FOLDER/report.html."""
    from tw_plugins.pages.report import read_report, write_report

    PlainConsole().print(str(write_report(read_report(folder), folder)), soft_wrap=True)


app.add_typer(data, name="data")
app.add_typer(evaluation, name="eval")
app.add_typer(bench, name="bench")
app.add_typer(view, name="view")
