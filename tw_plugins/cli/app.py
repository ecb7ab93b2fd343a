"""The command `threadweaver`. Each command imports what it needs when it runs, so `--help` is quick."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from tw_plugins.cli.bench import bench
from tw_plugins.cli.data import data
from tw_plugins.cli.eval import evaluation
from tw_plugins.cli.extras import missing_extra
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
from tw_plugins.errors import UserError


def is_explained(error: Exception) -> bool:
    """Whether an error is the user's to mend: one of our own, the file system's, or a package to install."""
    if isinstance(error, UserError | FileNotFoundError | PermissionError):
        return True
    return _is_full(error) or missing_extra(error) is not None


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _message(error: Exception) -> str:
    if _is_full(error):
        return "the disk is full; what was finished is kept. Make room and run the same command again."
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename}: choose another place"
    if isinstance(error, ModuleNotFoundError):
        return missing_extra(error) or str(error)
    named = getattr(error, "filename", None)
    return f"no such file: {named}" if named else str(error)


class OneLineErrors(TyperGroup):
    """One line and status 2 where an error's message explains itself; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not is_explained(error):
                raise
            Console(stderr=True).print(f"[bold red]error:[/] {_plain(_message(error))}", soft_wrap=True)
            raise typer.Exit(2) from error


def _plain(message: str) -> str:
    from rich.markup import escape

    return escape(message)


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
    from tw_plugins.doctor import all_checks, is_healthy, show

    console = Console()
    with console.status("looking …"):
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
    run(model, prompt, mode, settings, Console(), where)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder with report.json.")],
) -> None:
    """Draw FOLDER/report.json again as FOLDER/report.html."""
    from tw_plugins.pages.report import read_report, write_report

    typer.echo(write_report(read_report(folder), folder))


app.add_typer(data, name="data")
app.add_typer(evaluation, name="eval")
app.add_typer(bench, name="bench")
app.add_typer(view, name="view")
