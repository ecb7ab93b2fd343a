"""Draws docs/growth.svg, how the cost of an update grows with its length, from figures in docs/growth/.

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


def main() -> None:
    found = json.loads((DOCS / "growth" / "h100.json").read_text())
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "growth"})
    figure, rows = plt.subplots(len(found["layers"]), 3, figsize=(11, 5.4), layout="constrained")
    for axes, (layer, of) in zip(rows, found["layers"].items(), strict=True):
        _draw(axes, layer, of)
    for axis in rows[0]:
        axis.legend(frameon=False, fontsize=7.5)
    figure.savefig(DOCS / "growth.svg", facecolor="white", metadata={"Date": None})


def _draw(axes: Any, layer: str, of: dict[str, Any]) -> None:
    """One row of plots: seconds, the ratios beside the limit of the arithmetic, memory."""
    time, ratio, memory = axes
    tokens, seconds = of["tokens"], of["seconds"]
    for name, ratios, colour in (
        ("trie row", [1.0] * len(tokens), BLUE),
        ("one row per request", of["rows"], ORANGE),
        ("requests in packs", of["packs"], GREEN),
    ):
        time.loglog(tokens, [a * b for a, b in zip(seconds, ratios, strict=True)], "o-", c=colour, label=name)
        if name != "trie row":
            ratio.semilogx(tokens, ratios, "o-", c=colour, label=name)
    ratio.semilogx(tokens, of["flex"], "o-", c=GREY, label="FlexAttention")
    ratio.semilogx(tokens, of["limit"], "--", c="black", label="limit of the arithmetic")
    for (name, gib), colour in zip(of["GiB"].items(), (BLUE, ORANGE), strict=True):
        memory.loglog(tokens, gib, "o-", c=colour, label=name)
    time.set_title(f"{layer}: forward and backward, s", loc="left", fontsize=9)
    ratio.set_title("times as long as the trie row", loc="left", fontsize=9)
    memory.set_title("memory, GiB", loc="left", fontsize=9)
    ratio.set_ylim(0, 12)
    for axis in axes:
        axis.set_xlabel("tokens")
        axis.set_xticks(tokens, [f"{count:,}" for count in tokens])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.yaxis.set_major_formatter("{x:g}")


if __name__ == "__main__":
    main()
