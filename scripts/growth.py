"""Draws docs/growth.svg and docs/growth_cpu.svg: how the cost of an update grows with its length, a step's
with its ranks. The figures are in docs/growth/.

python -m pip install matplotlib
python scripts/growth.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"
BLUE, ORANGE, GREEN, GREY = "#0b6bcb", "#b4540a", "#15803d", "#6b7280"
WAYS = (("one row per request", "rows", ORANGE), ("requests in packs", "packs", GREEN))
DENSER = (("FlexAttention", "flex", GREY), ("trie row, dense mask", "dense", GREY))


def main() -> None:
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "growth"})
    gpu, cpu = (json.loads((DOCS / "growth" / f"{name}.json").read_text()) for name in ("h100", "cpu"))
    figure, rows = plt.subplots(len(gpu["layers"]), 3, figsize=(11, 5.4), layout="constrained")
    for axes, (layer, of) in zip(rows, gpu["layers"].items(), strict=True):
        _draw(axes, layer, of, "GiB")
    for axis in rows[0]:
        axis.legend(frameon=False, fontsize=7.5)
    figure.savefig(DOCS / "growth.svg", facecolor="white", metadata={"Date": None})

    figure, axes = plt.subplots(1, 5, figsize=(15, 2.9), layout="constrained")
    _draw(axes[:3], cpu["model"], cpu["update"], "MiB")
    _draw_ranks(axes[3:], cpu["ranks"])
    for axis in axes:
        axis.legend(frameon=False, fontsize=7.5)
    figure.savefig(DOCS / "growth_cpu.svg", facecolor="white", metadata={"Date": None})


def _draw(axes: Any, layer: str, of: dict[str, Any], unit: str) -> None:
    """Seconds, the ratios beside the limit of the arithmetic, memory, over tokens."""
    time, ratio, memory = axes
    tokens, seconds = of["tokens"], of["seconds"]
    time.loglog(tokens, seconds, "o-", c=BLUE, label="trie row")
    for name, key, colour in WAYS:
        if key in of:
            time.loglog(
                tokens, [a * b for a, b in zip(seconds, of[key], strict=True)], "o-", c=colour, label=name
            )
    for name, key, colour in WAYS + DENSER:
        if key in of:
            ratio.semilogx(tokens, _measured(of[key]), "o-", c=colour, label=name)
    ratio.semilogx(tokens, of["limit"], "--", c="black", label="limit of the arithmetic")
    for (name, used), colour in zip(of[unit].items(), (BLUE, ORANGE, GREY), strict=False):
        memory.loglog(tokens, _measured(used), "o-", c=colour, label=name)
    time.set_title(f"{layer}: forward and backward, s", loc="left", fontsize=9)
    ratio.set_title("times as long as the trie row", loc="left", fontsize=9)
    memory.set_title(f"memory, {unit}", loc="left", fontsize=9)
    memory.set_yscale("log", base=2)
    ratio.set_ylim(0, 12)
    for axis in axes:
        axis.set_xlabel("tokens")
        axis.set_xticks(tokens, [f"{count:,}" for count in tokens])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:g}")
        _plain(axis)


def _draw_ranks(axes: Any, of: dict[str, Any]) -> None:
    """A step's parts, one upon the other, and the memory of a rank, over ranks."""
    step, memory = axes
    places, bottom = range(len(of["ranks"])), [0.0] * len(of["ranks"])
    for (name, seconds), colour in zip(of["seconds"].items(), (GREY, ORANGE, BLUE, GREEN), strict=False):
        step.bar(places, seconds, 0.6, bottom, color=colour, label=name)
        bottom = [a + b for a, b in zip(bottom, seconds, strict=True)]
    alone = {name: seconds[0] for name, seconds in of["seconds"].items()}
    shared = alone["log-probs"] + alone["update"]
    limit = [sum(alone.values()) - shared + shared / min(ranks, of["cores"]) for ranks in of["ranks"]]
    step.plot(places, limit, "--", c="black", label="if ranks shared the rows for nothing")
    memory.bar(places, of["MiB"], 0.6, color=BLUE, label="a rank's process, at most")
    step.set_ylim(0, 1.8 * max(bottom))  # room for the legend
    memory.set_ylim(0, 1.25 * max(of["MiB"]))
    step.set_title("a step, s", loc="left", fontsize=9)
    memory.set_title("memory, MiB", loc="left", fontsize=9)
    for axis in axes:
        axis.set_xticks(places, of["ranks"])
        axis.set_xlabel("ranks on two cores")
        _plain(axis)


def _measured(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _plain(axis: Any) -> None:
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
