"""`python -m recipes.quickstart.seed_pages`: results in README and the kits, and the page of all seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from recipes.quickstart.seed_figures import Column, Entry, reached, share, table, times
from tw_plugins.evaluation.report import markdown_table
from tw_plugins.storage.atomic import write_text

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "quickstart-seeds"
NAMES = {"verl": "verl", "openrlhf": "OpenRLHF"}
README, PAGE = ("README.md", "results"), ("docs/quickstart-seeds.md", "after")
KITS = {
    "verl": ("recipes/upstream/verl-recipe/threadweaver/README.md", "results"),
    "openrlhf": ("recipes/upstream/openrlhf/PR.md", "results"),
}
"""Files and the names of their marks, `<!-- name -->` … `<!-- end of name -->`."""

LINES = (
    Column("accuracy, RL in parallel mode", ("accuracy_rl",), share),
    Column("accuracy, sequential baseline", ("accuracy_baseline",), share),
    Column("accuracy, SFT", ("accuracy_sft",), share),
    Column("forks where it pays, RL", ("activation_decomposable_rl",), share),
    Column("… SFT", ("activation_decomposable_sft",), share),
    Column("forks on chains, RL", ("activation_chain_rl",), share, max),
    Column("token latency where it pays, against the baseline", ("token_latency",), times),
    Column("wall clock there, batch size 1", ("wall_clock",), times),
    Column("reward, SFT → RL", ("reward_sft", "reward_rl"), "{:.3f}".format),
    Column("minutes, set-up not counted", ("minutes",), "{:.1f}".format, max),
)


def results(records: Mapping[str, Sequence[Entry]]) -> str:
    """Markdown: median and worst of each figure, for each framework, and how many runs kept every promise."""
    head = [""]
    rows = [[line.title] for line in LINES] + [["runs that reached every promise"]]
    for name, entries in records.items():
        head += [f"{NAMES[name]}: median", "worst"]
        finished = [entry["figures"] for entry in entries if "figures" in entry]
        for row, line in zip(rows, LINES, strict=False):
            row += [line.cell(line.over(finished, of)) for of in (median, line.worst)]
        seeds = ", ".join(str(entry["seed"]) for entry in entries)
        rows[-1] += [f"{sum(map(reached, entries))} of {len(entries)}", f"seeds {seeds}"]
    return markdown_table(head, rows)


def every_seed(records: Mapping[str, Sequence[Entry]]) -> str:
    """Markdown: the table of `make seeds` for each framework."""
    return "\n\n".join(f"`make seeds FRAMEWORK={name}`:\n\n{table(runs)}" for name, runs in records.items())


def filled(text: str, mark: str, body: str) -> str:
    """`text` with what stands between the two marks replaced by `body`."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{body}\n\n{end}{after}"


def pages() -> dict[Path, str]:
    """Each file as the records want it."""
    files = {name: RECORDS / f"{name}.json" for name in NAMES}
    records = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}
    bodies = {README: results(records), PAGE: every_seed(records)}
    bodies |= {KITS[name]: results({name: found}) for name, found in records.items()}
    return {
        ROOT / name: filled((ROOT / name).read_text(encoding="utf-8"), mark, body)
        for (name, mark), body in bodies.items()
    }


if __name__ == "__main__":
    for path, text in pages().items():
        write_text(path, text)
