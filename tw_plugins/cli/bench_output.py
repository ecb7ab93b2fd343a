"""Figures for people and for programs: progress, tables with the ratios in bold, JSON on request."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from tw_plugins.bench import BenchError
from tw_plugins.bench.timing import Spread, Timing
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.tables import Figures
from tw_plugins.evaluation.provenance import Machine
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import check_target

__all__ = ["Output", "between", "machine_of_vllm", "mib", "ratio", "seconds"]

MIB = 1 << 20


@dataclass(frozen=True)
class Output:
    """Where figures go: the console, and a JSON file if one is named.

    Raises:
        BenchError, OSError, FileError: no file can be written there; said before anything is measured.
    """

    console: PlainConsole
    json_out: Path | None

    def __post_init__(self) -> None:
        if self.json_out is None:
            return
        folder = self.json_out.parent
        if not folder.is_dir():
            raise BenchError(f"--json {self.json_out}: {folder} does not exist: give a folder that does")
        if self.json_out.is_dir() or not os.access(folder, os.W_OK):
            raise BenchError(f"--json {self.json_out}: no file can be written there: choose another place")
        check_target(self.json_out)

    def measure(self, title: str, cases: Iterable[tuple[str, Callable[[], Any]]]) -> list[Any]:
        """Run each case under a status line."""
        found = []
        for name, case in cases:
            with self.console.working(f"{title}: {name}"):
                found.append(case())
        return found

    def show(
        self, title: str, table: Figures, settings: str, figures: Sequence[Any], machine: Machine | None
    ) -> None:
        """Print, and write the figures of this benchmark; `machine` is None where they were not made here."""
        self.console.print(table)
        self.console.print(settings)
        if machine:
            self.console.print(str(machine))
        if self.json_out:
            text: dict[str, Any] = {
                "benchmark": title,
                "settings": settings,
                "figures": [asdict(each) for each in figures],
            }
            if machine:
                text["machine"] = asdict(machine)
            write_text(self.json_out, json.dumps(text, indent=2) + "\n")


def machine_of_vllm() -> Machine:
    """This machine, with its GPU where there is one: vLLM takes it."""
    import torch

    return Machine.here(on_gpu=torch.cuda.is_available())


def ratio(timing: Timing) -> Text:
    """How much slower than the first way; empty for that one."""
    if timing.ratio_min == timing.ratio_max == 1:
        return Text()
    return between(Spread(timing.ratio, timing.ratio_min, timing.ratio_max), "{:.2f}", "×")


def between(spread: Spread, form: str, unit: str, times: float = 1.0) -> Text:
    """``**5.1×** (4.9–5.3)``, each value `times` this factor."""
    median, least, most = (form.format(value * times) for value in (spread.median, spread.least, spread.most))
    return Text.assemble((f"{median}{unit}", "bold"), f" ({least}–{most})")


def seconds(value: float) -> str:
    """In s, or in ms below a tenth of one."""
    return f"{value:.3f} s" if value >= 0.1 else f"{value * 1e3:.2f} ms"


def mib(size: float) -> str:
    """Bytes in MiB, with a decimal where there are few."""
    return f"{size / MIB:.{1 if size < 10 * MIB else 0}f} MiB"
