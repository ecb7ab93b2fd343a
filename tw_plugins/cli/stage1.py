"""`threadweaver data structure | extract | rewrite | outline | filter | stage1`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tw_plugins.data.stage1.endpoint import ChatSettings
from tw_plugins.data.stage1.steps import Options

__all__ = ["register"]

Source = Annotated[Path, typer.Argument(help="JSON Lines: records, or what the step before wrote.")]
Traces = Annotated[
    Path, typer.Argument(help="JSON Lines with prompt, response (<think>…</think>…) and, if known, answer.")
]
Out = Annotated[
    Path, typer.Option(help="JSON Lines to write; what is there and still holds is not done again.")
]
BaseUrl = Annotated[
    str, typer.Option(help="OpenAI-compatible, as http://localhost:8000/v1; key: OPENAI_API_KEY.")
]
Model = Annotated[str, typer.Option(help="Name under which the endpoint serves the model.")]
Attempts = Annotated[int, typer.Option(min=1, help="Answers per question before a record is rejected.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Records at a time.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")]
Retries = Annotated[int, typer.Option(min=0, help="After a time-out, a rate limit or a server's error.")]
Temperature = Annotated[float | None, typer.Option(min=0.0, help="The endpoint's own when not given.")]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Of one answer; the endpoint's own when not given.")
]
PriceIn = Annotated[float, typer.Option(min=0.0, help="Dollars per million tokens of prompts.")]
PriceOut = Annotated[float, typer.Option(min=0.0, help="Dollars per million tokens of answers.")]
MinGain = Annotated[int, typer.Option(min=0, help="Characters that a block must take off the critical path.")]
MinLeft = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of a thread that edits must leave.")]
Tokenizer = Annotated[
    str | None, typer.Option(help="Folder of a model, to count tokens; characters when not given.")
]


def register(data: typer.Typer) -> None:
    """Adds the commands to `threadweaver data`."""

    @data.command()
    def structure(
        source: Traces, out: Out, base_url: BaseUrl, model: Model,
        attempts: Attempts = 3, concurrency: Concurrency = 16, timeout: Timeout = 600, retries: Retries = 4,
        temperature: Temperature = None, max_tokens: MaxTokens = None,
        price_in: PriceIn = 0, price_out: PriceOut = 0,
    ) -> None:  # fmt: skip
        """Step 1: a model finds what is independent in sequential traces, and checks itself."""
        chat = ChatSettings(
            base_url, model, temperature, max_tokens, concurrency, timeout, retries, price_in, price_out
        )
        _show("structure", source, out, Options(attempts=attempts, concurrency=concurrency), chat)

    @data.command()
    def extract(source: Source, out: Out, min_gain: MinGain = 200) -> None:
        """Step 2: independent groups become blocks of the trace's own lines; no model."""
        _show("extract", source, out, Options(min_gain=min_gain), None)

    @data.command()
    def rewrite(
        source: Source, out: Out, base_url: BaseUrl, model: Model, min_left: MinLeft = 0.5,
        attempts: Attempts = 3, concurrency: Concurrency = 16, timeout: Timeout = 600, retries: Retries = 4,
        temperature: Temperature = None, max_tokens: MaxTokens = None,
        price_in: PriceIn = 0, price_out: PriceOut = 0,
    ) -> None:  # fmt: skip
        """Step 3: a model takes out of each thread what leans on its siblings."""
        chat = ChatSettings(
            base_url, model, temperature, max_tokens, concurrency, timeout, retries, price_in, price_out
        )
        options = Options(attempts=attempts, min_left=min_left, concurrency=concurrency)
        _show("rewrite", source, out, options, chat)

    @data.command()
    def outline(
        source: Source, out: Out, base_url: BaseUrl, model: Model,
        attempts: Attempts = 3, concurrency: Concurrency = 16, timeout: Timeout = 600, retries: Retries = 4,
        temperature: Temperature = None, max_tokens: MaxTokens = None,
        price_in: PriceIn = 0, price_out: PriceOut = 0,
    ) -> None:  # fmt: skip
        """Step 4: a model writes the outlines, plans that give no result away."""
        chat = ChatSettings(
            base_url, model, temperature, max_tokens, concurrency, timeout, retries, price_in, price_out
        )
        _show("outline", source, out, Options(attempts=attempts, concurrency=concurrency), chat)

    @data.command("filter")
    def filter_(source: Source, out: Out, tokenizer: Tokenizer = None) -> None:
        """Step 5: what is well-formed and still right becomes sft.parquet, with statistics; no model."""
        _show("filter", source, out, Options(), None, tokenizer)

    @data.command()
    def stage1(
        source: Traces,
        out: Annotated[Path, typer.Option(help="Folder for all files, sft.parquet and statistics.json.")],
        base_url: BaseUrl, model: Model, tokenizer: Tokenizer = None,
        min_gain: MinGain = 200, min_left: MinLeft = 0.5,
        attempts: Attempts = 3, concurrency: Concurrency = 16, timeout: Timeout = 600, retries: Retries = 4,
        temperature: Temperature = None, max_tokens: MaxTokens = None,
        price_in: PriceIn = 0, price_out: PriceOut = 0,
    ) -> None:  # fmt: skip
        """Rewrite sequential traces as parallel trajectories, all five steps (§4.1).

        Broken off, the same command goes on where it was; no question is paid for twice. Status 1: no
        trajectory is left.
        """
        from tw_plugins.cli.stage1_output import show_stage1

        chat = ChatSettings(
            base_url, model, temperature, max_tokens, concurrency, timeout, retries, price_in, price_out
        )
        options = Options(attempts, min_gain, min_left, concurrency)
        if not show_stage1(source, out, options, chat, tokenizer, Console()):
            raise typer.Exit(1)


def _show(
    step: str,
    source: Path,
    out: Path,
    options: Options,
    chat: ChatSettings | None,
    tokenizer: str | None = None,
) -> None:
    from tw_plugins.cli.stage1_output import show_step

    if not show_step(step, source, out, options, chat, tokenizer, Console()):
        raise typer.Exit(1)
