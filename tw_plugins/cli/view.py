"""`threadweaver view`: the sub-commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.example import example

__all__ = ["view"]

Files = Annotated[
    list[Path],
    typer.Argument(
        help="JSON Lines or Parquet of eval, data, verl (rollout_data_dir), OpenRLHF; or folders of them."
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(help="Folder of a model, to count tokens where a file does not say; else characters."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N trajectories.")]

view = typer.Typer(no_args_is_help=True, help="Trajectories, training rows and data sets as pages.")


@view.callback()
def main() -> None:
    """Trajectories, training rows and data sets as pages, each one file that needs no server."""


@view.command(epilog=example("threadweaver view trajectories runs/eval --out page.html"))
def trajectories(
    files: Files,
    out: Annotated[Path, typer.Option(help="Page to write.")],
    tokenizer: Tokenizer = None,
    limit: Limit = None,
) -> None:
    """Browse trajectories: search, filters, statistics, threads side by side, the timeline."""
    from tw_plugins.cli.view_pages import show_trajectories

    show_trajectories(files, out, tokenizer, limit, PlainConsole())


@view.command(epilog=example("threadweaver view row sft.parquet --index 3 --tokenizer M --out row.html"))
def row(
    file: Annotated[Path, typer.Argument(help="Any file that `view trajectories` reads.")],
    tokenizer: Annotated[str, typer.Option(help="Folder of the model that is trained.")],
    out: Annotated[Path, typer.Option(help="Page to write.")],
    index: Annotated[int, typer.Option(min=0, help="Which record, counted from 0.")] = 0,
    autoregressive_unit: Annotated[
        bool, typer.Option(help="Train the whole joined trajectory too, as SFT does by default.")
    ] = True,
) -> None:
    """Look at one record as the row that training makes of it: tokens, positions, loss, attention."""
    from tw_plugins.cli.view_pages import show_row

    show_row(file, index, tokenizer, out, autoregressive_unit, PlainConsole())


@view.command(epilog=example("threadweaver view stats runs/stage1/sft.parquet --out stats.html"))
def stats(
    files: Files,
    out: Annotated[Path, typer.Option(help="Page to write.")],
    tokenizer: Tokenizer = None,
    limit: Limit = None,
) -> None:
    """Statistics of a data set's shape: blocks, threads, lengths, acceleration (Table 8 of the paper)."""
    from tw_plugins.cli.view_pages import show_stats

    show_stats(files, out, tokenizer, limit, PlainConsole())
