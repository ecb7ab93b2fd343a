"""What the quickstart promises of the model that it trains, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Report = Mapping[str, Any]
BORDER = 1e-9  # figures are means in floating point: 1 − 0.01 may be a little more than 0.99
DIGITS = 12  # after the point, at most
ON_DECOMPOSABLE, ON_CHAINS = 0.9, 0.05  # shares that fork: the least, the most


@dataclass(frozen=True)
class Promise:
    """One bound on one figure of the report.

    Attributes:
        name: what is bounded, in words.
        said: the figure's sentence, with `{}` for the figure.
        figure: None where it was not measured.
        wanted: the bound, a number, or read from the report where it is another model's figure.
        whence: in words, where it is.
        at_most: the bound is the largest that is good, else the smallest.
        times: figures are ratios (1.74×), else shares (97.0 %).
    """

    name: str
    said: str
    figure: Callable[[Report], float | None]
    wanted: float | Callable[[Report], float]
    whence: str = ""
    at_most: bool = False
    times: bool = False

    def judge(self, report: Report) -> dict[str, Any]:
        """`{name, text, reached, value, wanted}`, as `tw_plugins.pages.report` draws it."""
        value, wanted = self.figure(report), self.bound(report)
        missing = f"{self.name} was not measured"
        said = missing if value is None else self.said.format(self.shown(report))
        promised = f"promised: {self._bound(wanted)} or {'less' if self.at_most else 'more'}{self.whence}"
        return {
            "name": self.name,
            "text": f"{said}, {promised}",
            "reached": self.reached(report),
            "value": value,
            "wanted": wanted,
        }

    def bound(self, report: Report) -> float:
        """As a number."""
        return self.wanted(report) if callable(self.wanted) else self.wanted

    def reached(self, report: Report) -> bool:
        """Whether a run kept it; a figure that was not measured did not."""
        value, wanted = self.figure(report), self.bound(report)
        return value is not None and (value - wanted if self.at_most else wanted - value) <= BORDER

    def shown(self, report: Report) -> str:
        """The figure; one that missed does not read as if it had not: 1.297× instead of 1.30×."""
        value, wanted = self.figure(report), self.bound(report)
        if value is None:
            return "not measured"
        digits = 2 if self.times else 1
        if not self.reached(report):
            while digits < DIGITS and self._text(value, digits) == self._text(wanted, digits):
                digits += 1
        return self._text(value, digits)

    def _bound(self, wanted: float) -> str:
        whole = not self.times and abs(100 * wanted - round(100 * wanted)) < 0.05
        return self._text(wanted, 0 if whole else 1)

    def _text(self, value: float, digits: int) -> str:
        return f"{value:.{digits}f}×" if self.times else percent(value, digits)


def percent(share: float, digits: int = 1) -> str:
    """`99.8 %`, which no line break parts."""
    return f"{100 * share:.{digits}f}\u00a0%"


def accuracy(report: Report, model: str, mode: str = "parallel") -> float:
    """Share of the held-out problems that a model answers right."""
    return float(report["eval"][model][mode]["accuracy"])


def activation(report: Report, kind: str, model: str = "rl") -> float | None:
    """Share of the problems of a kind on which a model forks; None where there is no problem of it."""
    share: float | None = report["eval"][model]["parallel"]["activation"].get(kind)
    return share


ACCURACY = Promise("accuracy", "accuracy {}", lambda report: accuracy(report, "rl"), 0.97)
AGAINST_BASELINE = Promise(
    "accuracy against the sequential baseline",
    "accuracy {}",
    lambda report: accuracy(report, "rl"),
    lambda report: accuracy(report, "baseline", "autoregressive") - 0.01,
    whence=" (the sequential baseline's − 1 point)",
)
AGAINST_SFT = Promise(
    "accuracy against SFT",
    "accuracy {}",
    lambda report: accuracy(report, "rl"),
    lambda report: accuracy(report, "sft") - 0.01,
    whence=" (SFT's − 1 point)",
)
FORKS = Promise(
    "activation on decomposable problems",
    "forked on {} of decomposable problems",
    lambda report: activation(report, "decomposable"),
    ON_DECOMPOSABLE,
)
CHAINS = Promise(
    "activation on chain problems",
    "forked on {} of chain problems",
    lambda report: activation(report, "chain"),
    ON_CHAINS,
    at_most=True,
)
TOKEN_LATENCY = Promise(
    "token latency",
    "token latency: speed-up of {} on decomposable problems",
    lambda report: report["speedup"]["token_latency"],
    1.5,
    times=True,
)
WALL_CLOCK = Promise(
    "wall clock",
    "wall clock: speed-up of {} on decomposable problems",
    lambda report: report["speedup"]["wall_clock"],
    1.3,
    times=True,
)
PROMISES = (ACCURACY, AGAINST_BASELINE, AGAINST_SFT, FORKS, CHAINS, TOKEN_LATENCY, WALL_CLOCK)


def judge(report: Report, promises: Iterable[Promise] = PROMISES) -> list[dict[str, Any]]:
    """Every promise against a finished run's report."""
    return [promise.judge(report) for promise in promises]


def missed(report: Report) -> list[str]:
    """The sentences of the promises that a run did not reach."""
    return [judged["text"] for judged in judge(report) if not judged["reached"]]
