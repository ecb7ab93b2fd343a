"""From a report's figures to what its page shows: texts, rows and charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from tw_plugins.evaluation.speedup_words import compared, times
from tw_plugins.pages.charts import NARROW, Chart, histogram, learning_curve, side_of
from tw_plugins.pages.timeline import coloured, timeline

__all__ = ["view"]

_TITLES = {
    "loss": "loss",
    "reward": "reward",
    "accuracy": "accuracy",
    "longest": "token latency",
    "total": "total tokens",
    "activation": "activation",
    "format": "well-formed",
    "acceleration": "acceleration ratio η",
}
_MODELS = {
    "sft": "SFT",
    "selftrain": "… on its own right answers too",
    "rl": "… + P-GRPO",
    "baseline": "sequential baseline",
}
_STAGES = {"sft": "SFT", "selftrain": "self-training", "rl": "P-GRPO", "eval": "evaluation"}
_KEYS = {
    "rollout_actor_probability_difference_max": "largest difference of probabilities, rollout to training",
    "lr": "learning rate",
    "sft": "SFT",
    "rl": "RL",
}
"""Keys of settings, and words of keys, that people call something else."""
_COMPARED = {("rl", "parallel"), ("baseline", "autoregressive")}
_BASELINE = "baseline_"
_VERDICTS: dict[Any, str] = {True: "answered correctly", False: "answered wrongly"}


def view(report: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the template is given; the report has passed :func:`tw_plugins.pages.report.check`."""
    samples = report.get("samples", {})
    speedups = [float(value) for value in samples.get("speedups", ())]
    return {
        "framework": report["framework"],
        "seed": report["seed"],
        "minutes": _minutes(report["wall_s"]),
        "headlines": headlines(report),
        "sft_charts": list(charts(report["sft"]["curves"])),
        "rl_charts": list(charts(report["rl"]["curves"])),
        "rl_steps": report["rl"]["steps"],
        "rows": list(rows(report["eval"])),
        "with_reward": "reward" in report["eval"]["rl"]["parallel"],
        "kinds": list(report["eval"]["rl"]["parallel"]["activation"]),
        "outcome": report.get("outcome", ""),
        "against": report.get("against", "a sequential model of the same data and budget"),
        "problems": report.get("problems", "problems that can be decomposed"),
        "promises": report.get("promises", []),
        "histograms": histograms(speedups),
        "sides": sides(speedups),
        "speedup_rows": list(speedup_rows(report["speedup"])),
        "activation": list(report["eval"]["rl"]["parallel"]["activation"].items()),
        "trajectory": trajectory(samples["trajectory"], samples) if "trajectory" in samples else None,
        "nothing_drawn": nothing_drawn(report) if samples else "",
        "task": task(report["task"]) if "task" in report else None,
        "trajectories": PurePath(report.get("trajectories", "")).name,
        "stages": stages(report["stages"]),
        "tables": [("versions", list(_flat(report["versions"]))), *setting_tables(report)],
    }


def headlines(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """The four figures at the top."""
    own, base = report["eval"]["rl"]["parallel"], report["eval"]["baseline"]["autoregressive"]
    speedup, difference = report["speedup"], 100 * (own["accuracy"] - base["accuracy"])
    first, *others = own["activation"].items()
    rest = ", ".join(f"{share:.1%} on {kind}" for kind, share in others)
    forked = f"forked on {first[0]} problems" if any(own["activation"].values()) else "nothing forked"
    return [
        {
            "label": "token latency",
            "side": side(speedup["token_latency"]),
            "figure": times(speedup["token_latency"]),
            "note": compared(speedup["token_latency"], "fewer tokens", "more tokens", "as many tokens")
            + f" in sequence; best problem {times(speedup['token_latency_max'])}",
        },
        {
            "label": "wall clock",
            "side": side(speedup["wall_clock"]),
            "figure": times(speedup["wall_clock"]),
            "note": clock_note(speedup["wall_clock"], report.get("clock")),
        },
        {
            "label": "accuracy",
            "side": "",
            "figure": f"{own['accuracy']:.1%}",
            "note": f"{_signed(difference)} points against the baseline's {base['accuracy']:.1%}",
        },
        {
            "label": "activation",
            "side": "",
            "figure": f"{first[1]:.1%}",
            "note": forked + (f"; {rest}" if rest else ""),
        },
    ]


def side(speedup: float | None) -> str:
    """Of no change, as it is shown: the colour of its card."""
    return compared(speedup, "above", "below", "at") if speedup is not None else ""


def clock_note(speedup: float | None, clock: Mapping[str, Any] | None) -> str:
    """Which is faster, and how the wall clock was read where the report says it."""
    word = f"{compared(speedup, 'faster', 'slower', 'no change')} at batch size 1"
    if clock is None:
        return f"{word}, on this machine"
    others, load = clock["others_cpu"]["median"], clock["load_average"]["median"]
    between = f"{times(clock['wall_clock']['low'])}–{times(clock['wall_clock']['high'])}"
    return (
        f"{word}: median of {clock['problems']} problems decoded by both in turn "
        f"(95 %: {between}), while other work took {others:.0%} of the machine (load {load:.1f})"
    )


def histograms(speedups: Sequence[float]) -> list[tuple[str, Chart]]:
    """The chart of the speed-ups for a wide and for a narrow page; none without speed-ups."""
    if not speedups:
        return []
    return [("wide", histogram(speedups)), ("narrow", histogram(speedups, bins=12, size=NARROW))]


def sides(speedups: Sequence[float]) -> str:
    """How many problems became slower and how many stayed as they were, in words."""
    counts = Counter(map(side_of, speedups))
    return f"{counts['below']} of {len(speedups)} became slower, {counts['at']} unchanged"


def charts(curves: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Chart, bool]]:
    """Title, chart, and whether a baseline is in it; empty curves are left out."""
    for name, values in curves.items():
        if name.startswith(_BASELINE) or not values:
            continue
        baseline = _points(curves.get(f"{_BASELINE}{name}", ()))
        drawn = {"own": _points(values)} | ({"baseline": baseline} if baseline else {})
        if drawn["own"]:
            yield _TITLES.get(name, name.replace("_", " ")), learning_curve(drawn), bool(baseline)


def rows(evaluations: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per model and mode."""
    for model, modes in evaluations.items():
        for mode, figures in modes.items():
            yield {
                "model": _MODELS.get(model, model),
                "mode": mode,
                "compared": (model, mode) in _COMPARED,
                "n": figures["n"],
                "accuracy": f"{figures['accuracy']:.1%}",
                "reward": f"{figures['reward']:.3f}" if "reward" in figures else "",
                "format": f"{figures['format']:.1%}",
                "token_latency": f"{figures['token_latency']:.1f}",
                "total_tokens": f"{figures['total_tokens']:.1f}",
                "activation": {kind: f"{share:.1%}" for kind, share in figures["activation"].items()},
                "wall_s": "–" if figures["wall_s_mean"] is None else f"{figures['wall_s_mean']:.2f} s",
            }


def speedup_rows(speedup: Mapping[str, float | None]) -> Iterator[tuple[str, str]]:
    names = {
        "token_latency": "token latency",
        "token_latency_correct_only": "… both answers correct",
        "token_latency_max": "… best problem",
        "wall_clock": "wall clock, batch size 1",
    }
    for key, name in names.items():
        yield name, times(speedup[key])


def trajectory(sample: Mapping[str, Any], samples: Mapping[str, Any]) -> dict[str, Any]:
    """A trajectory's timeline, text and caption."""
    return {
        "timeline": timeline(sample["spans"], samples.get("baseline_longest")),
        "pieces": coloured(sample["text"]),
        "prompt": sample.get("prompt", ""),
        "longest": sample["longest"],
        "total": sample["total"],
        "verdict": _VERDICTS.get(sample.get("correct"), ""),
        "expected": _answer(sample.get("reference")),
        "given": _answer(sample.get("answer")),
    }


def nothing_drawn(report: Mapping[str, Any]) -> str:
    """Why there is no trajectory to show."""
    if not any(report["eval"]["rl"]["parallel"]["activation"].values()):
        return "None is drawn: no answer of this model forked."
    return "None is drawn: no answer of this model that forked was right."


def task(described: Mapping[str, Any]) -> dict[str, Any]:
    """What the problems are, and one of them with its answer."""
    return {"lines": described["lines"], "prompt": described["prompt"], "pieces": coloured(described["text"])}


def stages(seconds: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """Name, duration, and share of the longest stage in percent."""
    longest = max(seconds.values(), default=0) or 1
    return [
        (_STAGES.get(name, name), _minutes(value), round(100 * value / longest, 2))
        for name, value in seconds.items()
    ]


def setting_tables(report: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """One table per group of ``settings``, and one for what the training stages say beside their curves."""
    settings = report.get("settings", {})
    groups = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    loose = {name: value for name, value in settings.items() if name not in groups}
    said = {
        name: {k: v for k, v in report[name].items() if k != "curves"}
        for name in ("sft", "selftrain", "rl")
        if name in report
    }
    for name, group in {"settings": loose, **said, **groups}.items():
        merged = {**said.get(name, {}), **group}
        if merged:
            yield _STAGES.get(name, name), list(_flat(merged))


def _points(values: Sequence[Any]) -> list[tuple[float, float]]:
    """Values numbered from 1, or [step, value] as they are; missing values (None) are left out."""
    pairs = [
        value if isinstance(value, list | tuple) else (step, value) for step, value in enumerate(values, 1)
    ]
    return [(float(step), float(value)) for step, value in pairs if value is not None]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield _key(f"{prefix}{name}"), _shown(value)


def _key(name: str) -> str:
    """`preset.rl_prompts` → "preset · RL prompts"."""
    words = (_KEYS.get(word, word) for word in name.replace(".", "_·_").split("_"))
    return _KEYS.get(name) or " ".join(words)


def _answer(value: Any) -> str:
    return "" if value is None else str(value)


def _shown(value: Any) -> str:
    """A setting for people: lists without brackets, yes and no."""
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
