"""`threadweaver data`: the sub-commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["data"]

data = typer.Typer(no_args_is_help=True, help="Models and data for training.")


@data.callback()
def main() -> None:
    """Models and data for training."""


@data.command("add-tokens")
def add_tokens(
    model: Annotated[str, typer.Option(help="Folder or name of a Hugging Face causal LM.")],
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist.")],
    trust_remote_code: Annotated[bool, typer.Option(help="Run the model's own code.")] = False,
) -> None:
    """Write MODEL with ThreadWeaver's control tokens to OUT, as training needs it."""
    from tw_plugins.data.add_tokens import add_tokens

    console = Console()
    with console.status(f"{model} …"):
        added = add_tokens(model, out, trust_remote_code)
    ids = sorted(added.ids.values())
    new = f"{len(ids)} control tokens added, ids {ids[0]}–{ids[-1]}" if ids else "had all control tokens"
    rows = f"embedding {added.rows_before} → {added.rows} rows"
    console.print(f"{new}; {rows}; written to {out}", highlight=False, soft_wrap=True)
