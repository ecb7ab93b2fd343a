"""Draws docs/metrics.svg, the five metrics to watch over a healthy run, from figures in docs/metrics/.

python -m pip install matplotlib
python scripts/metrics.py
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"
COLOURS = ("#2a6fbb", "#c8651b")
SHARES = ("activation/mean", "acc/mean", "groups_with_spread")


def main() -> None:
    runs = json.loads((DOCS / "metrics" / "quickstart.json").read_text())
    names = list(next(iter(runs.values())))
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "metrics"})
    figure, row = plt.subplots(1, len(names), figsize=(13.5, 2.4), layout="constrained")
    for axis, name in zip(row, names, strict=True):
        for (run, values), colour in zip(runs.items(), COLOURS, strict=True):
            shown = [value or float("nan") for value in values[name]] if "diff" in name else values[name]
            axis.plot(range(1, len(shown) + 1), shown, "o-", c=colour, lw=1.8, ms=3, label=run)
        axis.set_title(name, fontsize=8, loc="left")
        axis.set_xticks(range(2, 11, 2))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if "diff" in name:
            axis.set_yscale("log")
            axis.set_ylim(1e-8, 1e-5)
        elif name.removeprefix("threadweaver/") in SHARES:
            axis.set_ylim(0, 1.05)
    row[0].set_xlabel("step")
    row[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(DOCS / "metrics.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main()
