"""Options of the commands that can decode on a server."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["BaseUrl", "EngineArg", "Seed", "ServedName", "ServerKind"]

BaseUrl = Annotated[
    str | None, typer.Option(help="A server instead of vLLM in this process, as http://localhost:8000/v1.")
]
ServedName = Annotated[str | None, typer.Option(help="Its name for the model; --model when not given.")]
ServerKind = Annotated[
    str, typer.Option(help="openai (vLLM, recent SGLang) or sglang (the endpoint of older ones).")
]
Seed = Annotated[int | None, typer.Option(help="Of vLLM in this process; 0 when not given.")]
EngineArg = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE of vLLM's AsyncEngineArgs; may be repeated.")
]
