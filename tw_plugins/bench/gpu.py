"""One script for the first minutes on a GPU: is it right there, how fast is it, how much memory does it take.

``python -m tw_plugins.bench.gpu FOLDER`` needs torch and transformers only; ``threadweaver bench gpu`` is the
same. FOLDER/gpu.json and gpu.md are written after every case, so a stop loses little. What runs out of memory
or of time is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tw_plugins.attention.self_check import Heads, deviation, positions_of
from tw_plugins.bench import BenchError
from tw_plugins.bench.exactness import gradient_errors
from tw_plugins.bench.head import bench_head
from tw_plugins.bench.shapes import SHAPES, Shape
from tw_plugins.bench.update import (
    MODELS,
    TRIE,
    WHOLE,
    ModelShape,
    UpdateFigures,
    bench_batch,
    bench_update,
    device_named,
    ways_on,
)
from tw_plugins.evaluation.provenance import Machine
from tw_plugins.storage.atomic import write_text

if TYPE_CHECKING:
    import torch

__all__ = ["FULL", "TINY", "Part", "Plan", "bench_gpu"]

MIB = 1 << 20
SHAPE = SHAPES["first-stage"]
Row = dict[str, str]


@dataclass
class Part:
    """A table that grows; every row has the same columns."""

    name: str
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Sizes of every part.

    Attributes:
        minutes: after which no row is begun.
        heads: of layers that are checked; FlexAttention, which compiles for each, on the first two, and the
            implementations that are not ours in other dtypes than bfloat16 on the first.
        layers: models of one layer, by name.
        tokens: of a trajectory in one layer.
        whole: the model of several layers, ``whole_tokens`` of its trajectories.
        batch: tokens of trajectories that follow one another, as rollouts of a step do; more of them than
            torch.compile compiles one function for.
        head_tokens, head_width: of log-probs.
        exact: the model and the tokens whose gradient is held against float32.
    """

    minutes: float
    heads: tuple[Heads, ...]
    layers: dict[str, ModelShape]
    tokens: tuple[int, ...]
    whole: ModelShape
    whole_tokens: tuple[int, ...]
    batch: tuple[int, ...]
    head_tokens: tuple[int, ...]
    head_width: int
    exact: tuple[ModelShape, int]
    repeats: int


FULL = Plan(
    minutes=8,
    heads=(Heads(16, 8, 128), Heads(14, 2, 64), Heads(32, 8, 128), Heads(4, 2, 32), Heads(16, 16, 256)),
    layers={name: MODELS[name] for name in ("0.6B", "8B")},
    tokens=(4000, 11_000, 40_000, 80_000),
    whole=WHOLE,
    whole_tokens=(11_000,),
    batch=tuple(range(1200, 4200, 300)),
    head_tokens=(11_000, 20_000),
    head_width=4096,
    exact=(replace(WHOLE, layers=2, checkpointing=False), 2000),
    repeats=3,
)
_TOY = replace(MODELS["small"], hidden=32, ffn=48, heads=2, kv_heads=1, head_dim=16, layers=1)
TINY = Plan(
    minutes=5,
    heads=(Heads(4, 2, 32),),
    layers={"toy": _TOY},
    tokens=(200,),
    whole=replace(_TOY, layers=2, checkpointing=True),
    whole_tokens=(200,),
    batch=(150, 200),
    head_tokens=(4,),
    head_width=8,
    exact=(replace(_TOY, layers=2), 200),
    repeats=1,
)


def bench_gpu(
    folder: Path,
    names: Sequence[str] = (),
    plan: Plan = FULL,
    device: str | None = None,
    say: Callable[[str], object] = print,
) -> list[Part]:
    """All parts, or those named, in the order of what a user wants to know first.

    Args:
        folder: where gpu.json and gpu.md are written; made if it is not there.
        say: told of each row as it is there.

    Raises:
        BenchError: the device is not there, or there is no such part.
    """
    if unknown := set(names) - set(PARTS):
        raise BenchError(f"--part is {', '.join(sorted(unknown))}: choose of {', '.join(PARTS)}")
    where = device_named(device)
    folder.mkdir(parents=True, exist_ok=True)
    machine, deadline = Machine.here(on_gpu=where == "cuda"), time.monotonic() + 60 * plan.minutes
    parts: list[Part] = []
    for name in names or PARTS:
        title, rows_of = PARTS[name]
        parts.append(Part(title))
        began = time.perf_counter()
        for case, measure in rows_of(plan, where):
            rows = _attempt(case, measure, late=time.monotonic() > deadline)
            parts[-1].rows += rows
            parts[-1].seconds = time.perf_counter() - began
            _write(folder, machine, parts)
            for row in rows:
                say(f"{title}: " + ", ".join(f"{key} {value}" for key, value in row.items()))
    return parts


Case = tuple[Row, Callable[[], list[Row]]]
"""What is measured, and how: rows of figures that are added to it."""


def _attempt(case: Row, measure: Callable[[], list[Row]], late: bool) -> list[Row]:
    import torch

    if late:
        return [{**case, "outcome": "not begun: out of time"}]
    try:
        rows = measure()
    except torch.OutOfMemoryError:
        rows = [{"outcome": "out of memory"}]
    except Exception as error:  # whatever a kernel or a compiler says is a finding, and the rest goes on
        rows = [{"outcome": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if "torch._dynamo" in sys.modules:  # or FlexAttention is compiled for eight lengths only
        torch._dynamo.reset()
    return [{**case, **row} for row in rows]


def _right(plan: Plan, device: str) -> Iterator[Case]:
    import torch

    dtypes = (torch.bfloat16, torch.float16, torch.float32)
    for attention in ("trie", "sdpa", "eager", "flex_attention"):
        compiled = attention == "flex_attention"
        if compiled and device == "cpu":
            continue  # torch has no backward of it there
        for heads in plan.heads[: 2 if compiled else None]:
            ours = attention == "trie" or heads == plan.heads[0]
            for dtype in dtypes[: None if ours and not compiled else 1]:
                if attention == "trie" and dtype == torch.float32 and device == "cuda":
                    continue  # refused by name
                for length in (512, 601):
                    case = {
                        "attention": attention,
                        "heads": str(heads),
                        "dtype": str(dtype).removeprefix("torch."),
                        "tokens": str(length),
                    }
                    yield case, partial(_deviation, attention, heads, dtype, length, device)


def _deviation(attention: str, heads: Heads, dtype: torch.dtype, length: int, device: str) -> list[Row]:
    found = deviation(attention, positions_of(length), heads, dtype, device)
    return [
        {
            "output off by": f"{found.out:.1e}",
            "gradient off by": f"{found.gradient:.1e}",
            "seconds": f"{found.seconds:.2f}",
            "outcome": "right" if found.within(dtype) else "WRONG",
        }
    ]


def _exact(plan: Plan, device: str) -> Iterator[Case]:
    model, tokens = plan.exact

    def measure() -> list[Row]:
        errors = gradient_errors(SHAPE.scaled(tokens), model, device)
        return [{"way": name, "gradient off by": f"{error:.2e}"} for name, error in errors.items()]

    yield {"layers": str(model.layers), "tokens": str(tokens)}, measure


def _layers(plan: Plan, device: str) -> Iterator[Case]:
    for name, model in plan.layers.items():
        for tokens in plan.tokens:
            yield _update_case(f"a layer of {name}", model, tokens, plan.repeats, device)


def _whole(plan: Plan, device: str) -> Iterator[Case]:
    for tokens in plan.whole_tokens:
        name = f"{plan.whole.layers} layers of width {plan.whole.hidden}, checkpointing"
        yield _update_case(name, plan.whole, tokens, 1, device)


def _update_case(name: str, model: ModelShape, tokens: int, repeats: int, device: str) -> Case:
    shape = SHAPE.scaled(tokens)
    return {"model": name, "tokens": str(tokens)}, lambda: _rows(bench_update(shape, model, repeats, device))


def _rows(figures: UpdateFigures) -> list[Row]:
    return [
        {
            "way": name,
            "seconds": f"{timing.seconds:.4f}",
            "the trie row is faster by": ""
            if name == TRIE
            else f"{timing.ratio:.2f}× ({timing.ratio_min:.2f}–{timing.ratio_max:.2f})",
            "limit": f"{figures.limit:.2f}×",
            "MiB": f"{figures.memory[name] / MIB:.0f}",
        }
        for name, timing in figures.timings.items()
    ]


def _batch(plan: Plan, device: str) -> Iterator[Case]:
    shapes: Sequence[Shape] = [SHAPE.scaled(tokens) for tokens in plan.batch]
    name, model = next(iter(plan.layers.items()))
    for way in ways_on(device, max(plan.batch)):
        case = {"model": f"a layer of {name}", "trajectories": str(len(shapes)), "way": way}
        yield case, partial(_passes, way, model, device, shapes)


def _passes(way: str, model: ModelShape, device: str, shapes: Sequence[Shape]) -> list[Row]:
    first, again = bench_batch(way, model, device, shapes)
    return [{"first time": f"{first:.2f} s", "again": f"{again:.2f} s"}]


def _heads(plan: Plan, device: str) -> Iterator[Case]:
    for tokens in plan.head_tokens:
        yield {"tokens": str(tokens), "width": str(plan.head_width)}, partial(_head, plan, tokens, device)


def _head(plan: Plan, tokens: int, device: str) -> list[Row]:
    figures = bench_head(tokens, plan.head_width, 1024, plan.repeats, device)
    return [
        {
            "way": name,
            "seconds": f"{timing.seconds:.4f}",
            "MiB": f"{figures.memory[name] / MIB:.0f}",
        }
        for name, timing in figures.timings.items()
    ]


PARTS: dict[str, tuple[str, Callable[[Plan, str], Iterator[Case]]]] = {
    "right": ("Right", _right),
    "exact": ("Gradient against float32", _exact),
    "layer": ("Update: one layer", _layers),
    "batch": ("Update: trajectories of a step", _batch),
    "head": ("Log-probs of the output head", _heads),
    "whole": ("Update: all layers", _whole),
}
"""By the name that it can be asked for: its title, and its cases."""


def _write(folder: Path, machine: Machine, parts: Sequence[Part]) -> None:
    data: dict[str, Any] = {"machine": asdict(machine), "parts": [asdict(part) for part in parts]}
    write_text(folder / "gpu.json", json.dumps(data, indent=1) + "\n")
    lines = [f"# {machine.gpu or machine.cpu}", "", str(machine), ""]
    for part in parts:
        columns = list(dict.fromkeys(key for row in part.rows for key in row))
        lines += [f"## {part.name} ({part.seconds:.0f} s)", "", f"| {' | '.join(columns)} |"]
        lines.append("|---" * len(columns) + "|")
        lines += [f"| {' | '.join(row.get(key, '') for key in columns)} |" for row in part.rows]
        lines.append("")
    write_text(folder / "gpu.md", "\n".join(lines))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    arguments.add_argument("folder", type=Path, help="for gpu.json and gpu.md")
    arguments.add_argument("--part", action="append", choices=PARTS, help="by default all")
    arguments.add_argument("--minutes", type=float, default=FULL.minutes, help="after which no case is begun")
    asked = arguments.parse_args()
    bench_gpu(asked.folder, asked.part or (), replace(FULL, minutes=asked.minutes))
