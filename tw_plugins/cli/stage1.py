"""`threadweaver data structure | extract | rewrite | outline | filter | stage1`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.example import example
from tw_plugins.cli.expanded import expanded
from tw_plugins.data.stage1.endpoint import ChatSettings
from tw_plugins.data.stage1.steps import Options
from tw_plugins.verifiers.settings import VerifierSettings

__all__ = ["register"]

ASK = "--base-url URL --model M"
Source = Annotated[Path, typer.Argument(help="JSON Lines: records, or what the step before wrote.")]
Traces = Annotated[
    Path, typer.Argument(help="JSON Lines with prompt, response (<think>…</think>…) and, if known, answer.")
]
Out = Annotated[
    Path, typer.Option(help="JSON Lines to write; what is there and still holds is not done again.")
]
Verifying = Annotated[VerifierSettings, "verifier", "verifier_timeout_s"]
Tokenizer = Annotated[
    str | None, typer.Option(help="Folder of a model, to count tokens; characters when not given.")
]


def register(data: typer.Typer) -> None:
    """Adds the commands to `threadweaver data`."""

    @data.command(epilog=example(f"threadweaver data structure traces.jsonl --out s/1.jsonl {ASK}"))
    @expanded
    def structure(
        source: Traces,
        out: Out,
        chat: ChatSettings,
        options: Annotated[Options, "attempts"],
        verifying: Verifying,
    ) -> None:
        """Step 1: a model finds what is independent in sequential traces, and checks itself."""
        _show("structure", source, out, options, chat, verifying=verifying)

    @data.command(epilog=example("threadweaver data extract s/1.jsonl --out s/2.jsonl"))
    @expanded
    def extract(source: Source, out: Out, options: Annotated[Options, "min_gain"]) -> None:
        """Step 2: independent groups become blocks of the trace's own lines; no model."""
        _show("extract", source, out, options)

    @data.command(epilog=example(f"threadweaver data rewrite s/2.jsonl --out s/3.jsonl {ASK}"))
    @expanded
    def rewrite(
        source: Source, out: Out, chat: ChatSettings, options: Annotated[Options, "attempts", "min_left"]
    ) -> None:
        """Step 3: a model takes out of each thread what leans on its siblings."""
        _show("rewrite", source, out, options, chat)

    @data.command(epilog=example(f"threadweaver data outline s/3.jsonl --out s/4.jsonl {ASK}"))
    @expanded
    def outline(
        source: Source, out: Out, chat: ChatSettings, options: Annotated[Options, "attempts"]
    ) -> None:
        """Step 4: a model writes the outlines, plans that give no result away."""
        _show("outline", source, out, options, chat)

    @data.command("filter", epilog=example("threadweaver data filter s/4.jsonl --out s/5.jsonl"))
    @expanded
    def filter_(source: Source, out: Out, verifying: Verifying, tokenizer: Tokenizer = None) -> None:
        """Step 5: what is well-formed and still right becomes sft.parquet, with statistics; no model."""
        _show("filter", source, out, Options(), None, tokenizer, verifying)

    @data.command(epilog=example(f"threadweaver data stage1 traces.jsonl --out s1 {ASK}"))
    @expanded
    def stage1(
        source: Traces,
        out: Annotated[Path, typer.Option(help="Folder for all files, sft.parquet and statistics.json.")],
        chat: ChatSettings,
        options: Options,
        verifying: Verifying,
        tokenizer: Tokenizer = None,
    ) -> None:
        """Rewrite sequential traces as parallel trajectories, all five steps (§4.1).

        Broken off, the same command goes on where it was; no question is paid for twice. Status 1: no
        trajectory is left.
        """
        from tw_plugins.cli.stage1_output import show_stage1

        if not show_stage1(source, out, options, chat, tokenizer, PlainConsole(), verifying):
            raise typer.Exit(1)


def _show(
    step: str,
    source: Path,
    out: Path,
    options: Options,
    chat: ChatSettings | None = None,
    tokenizer: str | None = None,
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> None:
    from tw_plugins.cli.stage1_output import show_step

    if not show_step(step, source, out, options, chat, tokenizer, PlainConsole(), verifying):
        raise typer.Exit(1)
