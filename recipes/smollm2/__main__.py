"""`python -m recipes.smollm2 --out FOLDER`: the model and the data that `smollm2.yaml` starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recipes.smollm2.dataset import FULL, SMOKE, write_data
from recipes.smollm2.model import convert, gguf_file
from tw_plugins.cli.ending import OneLineCommand

MODEL = "base"


def main(
    out: Annotated[Path, typer.Option(help=f"Folder for {MODEL}/ and the Parquet files.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the problems that are trained on.")] = 0,
    smoke: Annotated[bool, typer.Option("--smoke", help="A handful of each.")] = False,
) -> None:
    """Write SmolLM2-135M-Instruct as a Hugging Face folder, and the hand-over problems."""
    gguf_file()  # that it is missing is said first
    out.mkdir(parents=True, exist_ok=True)
    if not (out / MODEL).exists():
        convert(out / MODEL)
    for name, path in write_data(out, seed, SMOKE if smoke else FULL).items():
        print(f"{name}: {path}")


app = typer.Typer(add_completion=False)
app.command(cls=OneLineCommand)(main)

if __name__ == "__main__":
    app()
