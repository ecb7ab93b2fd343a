"""`threadweaver bench` for people: progress, a table with the ratios first, JSON on request."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tw_plugins.bench import Shape, UpdateTimes, bench_update


def run(tokens: Sequence[int], repeats: int, json_out: Path | None, console: Console) -> None:
    """Time every size, print the table, and write `json_out` if given."""
    results = []
    for size in tokens:
        with console.status(f"{size} tokens …"):
            results.append(bench_update(Shape(tokens=size), repeats))
    console.print(_table(results))
    console.print(
        f"median of {repeats} pairs; Qwen3 of 4 layers, fp32, 4 blocks of 3 threads; {_machine()}",
        highlight=False,
    )
    if json_out:
        figures = {
            "machine": _machine(),
            "repeats": repeats,
            "update": [asdict(result) for result in results],
        }
        json_out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _table(results: Sequence[UpdateTimes]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("tokens", "faster", "(min–max)", "trie row", "rows", "tokens computed", "saved"):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(
            str(result.tokens),
            f"[bold]{result.ratio:.2f}×[/]",
            f"{result.ratio_min:.2f}–{result.ratio_max:.2f}",
            f"{result.trie_s:.3f} s",
            f"{result.rows_s:.3f} s",
            f"{result.trie_tokens} vs {result.rows_tokens}",
            f"{result.rows_tokens / result.trie_tokens:.2f}×",
        )
    return table


def _machine() -> str:
    import torch

    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"
