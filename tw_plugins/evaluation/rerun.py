"""An evaluation against its repetition: which samples differ, and why they may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tw_plugins.evaluation.manifest import Manifest, changed_files
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.rollout import Mode

__all__ = ["Difference", "differences", "reasons", "rerun_report"]

What = Literal["text", "verdict", "missing", "new"]


@dataclass(frozen=True)
class Difference:
    """One sample that is not what it was.

    Attributes:
        index, sample: which.
        what: another text; another verdict on the same text; a sample that is not there any more, or was not.
        character: of the text, the first that differs.
        was, now: correct or not; None where there is no such sample.
    """

    index: int
    sample: int
    what: What
    character: int | None
    was: bool | None
    now: bool | None

    def __str__(self) -> str:
        verdicts = {True: "right", False: "wrong", None: "not there"}
        where = f" from character {self.character}" if self.character is not None else ""
        turn = "" if self.was == self.now else f", {verdicts[self.was]} → {verdicts[self.now]}"
        return f"index {self.index}, sample {self.sample}: {self.what}{where}{turn}"


def differences(before: Iterable[EvalRecord], after: Iterable[EvalRecord]) -> list[Difference]:
    """Every sample that differs in its text or in its verdict, in the order of the problems."""
    old, new = _by_sample(before), _by_sample(after)
    found = []
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key), new.get(key)
        if one is None or other is None:
            what: What = "new" if one is None else "missing"
            was, now = (record.correct if record else None for record in (one, other))
            found.append(Difference(*key, what, None, was, now))
        elif one.text != other.text:
            character = _first_difference(one.text, other.text)
            found.append(Difference(*key, "text", character, one.correct, other.correct))
        elif (one.correct, one.score) != (other.correct, other.score):
            found.append(Difference(*key, "verdict", None, one.correct, other.correct))
    return found


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _by_sample(records: Iterable[EvalRecord]) -> dict[tuple[int, int], EvalRecord]:
    """Samples without a number, of earlier versions, by their turn."""
    turns = Counter[int]()
    found = {}
    for record in records:
        number = turns[record.index] if record.sample is None else record.sample
        turns[record.index] += 1
        found[record.index, number] = record
    return found


def reasons(before: Manifest, after: Manifest) -> list[str]:
    """Why the samples of two evaluations may differ; empty where nothing explains it.

    Args:
        before, after: their manifests.
    """
    return [*_other_ingredients(before, after), *_other_runs(before, after), *_chance(after)]


def _other_ingredients(before: Manifest, after: Manifest) -> list[str]:
    found = []
    for name, was in before["made_of"].items():
        if was != (now := after["made_of"].get(name)):
            files = changed_files(was, now)
            found.append(f"{name.replace('_', ' ')} changed{f': {files}' if files else ''}")
    asked = {name: (before["asked"].get(name), after["asked"].get(name)) for name in ("engines", "settings")}
    if asked["engines"][0] != asked["engines"][1]:
        found.append("other engines decode")
    if asked["settings"][0] != asked["settings"][1]:
        found.append("other settings")
    return found


def _other_runs(before: Manifest, after: Manifest) -> list[str]:
    """Only the last run of each is compared, with a word where a folder has several."""
    found = []
    was, now = before["runs"][-1], after["runs"][-1]
    for name in sorted(was["versions"].keys() | now["versions"].keys()):
        one, other = was["versions"].get(name), now["versions"].get(name)
        if one != other:
            found.append(f"{name} was {one or 'not there'}, is {other or 'not there'}")
    for name, value in was["machine"].items():
        if value != now["machine"].get(name):
            found.append(f"{name} of the machine was {value}, is {now['machine'].get(name)}")
    if len(before["runs"]) > 1 or len(after["runs"]) > 1:
        found.append("one of the two was broken off and went on, with another seed for what was left")
    return found


def _chance(after: Manifest) -> list[str]:
    settings, engines = after["asked"]["settings"], after["asked"]["engines"]
    found = []
    if settings["temperature"] > 0 and engines and "servers" in engines:
        found.append("the servers sample with seeds of their own")
    if engines or settings["concurrency"] > 1:
        how = "sampled" if settings["temperature"] > 0 else "close"
        found.append(
            f"requests met others in the engine's batches, whose sums round another way: {how} tokens may "
            "turn. --concurrency 1 decodes alone; vLLM on GPUs has VLLM_BATCH_INVARIANT=1"
        )
    if settings["verifier"] not in ("math", "choice"):
        found.append("the verifier is not ours: it may judge the same text another way")
    return found


def rerun_report(
    found: Mapping[Mode, Sequence[Difference]], counts: Mapping[Mode, int], why: Sequence[str]
) -> dict[str, Any]:
    """The differences of each mode as `rerun.json` keeps them.

    Args:
        counts: samples of each mode, in either of the two.
    """
    return {
        "modes": {
            mode: {"samples": counts[mode], "differ": len(ones), "differences": list(map(asdict, ones))}
            for mode, ones in found.items()
        },
        "may_be_because": list(why),
    }
