"""One record of a file as a trajectory: the forms that are known, told apart by their keys."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.evaluation.records import span_from
from tw_plugins.latency import Latency
from tw_plugins.pages.reading import stage1
from tw_plugins.pages.reading.trajectory import Viewed, prompt_of
from tw_plugins.reward.facts import EXTRA_FIELD

__all__ = ["FORMS", "Form", "UnknownRecord", "viewed_from"]

Record = Mapping[str, Any]

WHOLE_ROW = (
    "The text is the decoded training row: where threads are branches of the row, threads 2..n stand once "
    "more after the answer."
)
NO_TAGS = (
    f"{WHOLE_ROW} The framework left out special tokens, and with them the control tags, so threads cannot "
    "be told apart here; measures are those of the file."
)
CUT = (
    "The framework decoded the whole training row; what followed the answer, threads 2..n once more, is cut."
)
_REPEATED = {"score", "correct", "answer", "reward", "acc"}  # keys that are shown in a place of their own


class UnknownRecord(UserError, ValueError):
    """A record of no known form, or with a value of another type than its form has."""


@dataclass(frozen=True)
class Form:
    """A form of record: who writes it, the keys it is known by, and how to read it."""

    name: str
    keys: tuple[str, ...]
    read: Callable[[Record, str, int], Viewed]


def viewed_from(record: Any, source: str, line: int) -> Viewed:
    """A record as a trajectory.

    Raises:
        UnknownRecord: see there; the message does not name the file.
    """
    if not isinstance(record, Mapping):
        raise UnknownRecord(f"a {type(record).__name__}, not an object")
    for form in FORMS:
        if all(key in record for key in form.keys):
            try:
                return form.read(record, source, line)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise UnknownRecord(f"not as {form.name} writes it: {error}") from error
    keys = ", ".join(json.dumps(str(key))[:60] for key in record)  # ASCII, whatever the key is
    raise UnknownRecord(f"no known form has the keys {keys or '(none)'}")


def _evaluation(record: Record, source: str, line: int) -> Viewed:
    return Viewed(
        form="evaluation",
        source=source,
        line=line,
        prompt=_text(record, "prompt"),
        text=_text(record, "text"),
        kind=_text(record, "kind"),
        mode=_text(record, "mode"),
        answer=_plain(record.get("reference")),
        given=_plain(record.get("answer")),
        unanswered=bool(record.get("unanswered")),
        correct=bool(record["correct"]),
        wall_s=_number(record, "wall_s"),
        limits={str(name): int(count) for name, count in (record.get("limits_hit") or {}).items()},
        well_formed=bool(record["well_formed"]),
        spans=tuple(map(span_from, record["spans"])),
        more={"index": str(record.get("index", ""))},
    )


def _verl(record: Record, source: str, line: int) -> Viewed:
    """With what `verl_ext.dumps` adds, if it is there: the joined text, and its measures."""
    joined = record.get(EXTRA_FIELD) or {}
    text, note = (_text(joined, "text"), "") if joined else _main_path(_text(record, "output"))
    totals = _totals(record)
    hit = _number(record, "limits_hit")
    formatted = _number(record, "format")
    return Viewed(
        form="verl rollout",
        source=source,
        line=line,
        prompt=_text(record, "input"),
        text=text,
        answer="" if record["gts"] is None else str(record["gts"]),
        correct=_correct(record),
        score=_number(record, "score"),
        mode=str(joined.get("mode", "")),
        limits=_limits(joined) or ({"any": int(hit)} if hit else {}),
        well_formed=None if formatted is None else formatted > 0,
        totals=totals,
        note="" if totals is not None and not totals.blocks else note,
        more=_others(record, {"input", "output", "gts", "limits_hit"}),
    )


def _samples(record: Record, source: str, line: int) -> Viewed:
    text, note = _main_path(_text(record, "output"))
    score = _number(record, "reward")
    return Viewed(
        form="samples",
        source=source,
        line=line,
        prompt=_text(record, "input"),
        text=text,
        answer=str(record.get("label") or ""),
        correct=_correct(record),
        score=_number(record, "score") if score is None else score,
        note="" if note == NO_TAGS else note,
        more=_others(record, {"input", "output", "label"}),
    )


def _logged(record: Record, source: str, line: int) -> Viewed:
    text, note = _main_path(_text(record, "text"))
    return Viewed(
        form="OpenRLHF sample",
        source=source,
        line=line,
        prompt="",
        text=text,
        score=_number(record, "reward"),
        note=f"{note} OpenRLHF logs the prompt and the response as one text.".strip(),
        more={"step": str(record["global_step"])},
    )


def _example(record: Record, source: str, line: int) -> Viewed:
    prompt, messages = prompt_of(record["prompt"])
    extra, reward = record.get("extra_info") or {}, record.get("reward_model") or {}
    answer = reward.get("ground_truth", record.get("label"))
    return Viewed(
        form="example",
        source=source,
        line=line,
        prompt=prompt,
        text=_text(record, "response"),
        messages=messages,
        kind=str(extra.get("kind") or ""),
        answer="" if answer is None else str(answer),
        correct=_correct(record),
    )


FORMS = (
    Form(
        "threadweaver eval or data selftrain",
        ("prompt", "text", "correct", "well_formed", "spans"),
        _evaluation,
    ),
    Form("verl (rollout_data_dir, validation_data_dir)", ("input", "output", "gts", "score", "step"), _verl),
    Form("a sampler (input, output, label, reward)", ("input", "output"), _samples),
    Form("OpenRLHF (the table generated_samples)", ("global_step", "text", "reward"), _logged),
    Form("data stage1", stage1.KEYS, stage1.viewed_record),
    Form("an SFT set (prompt, response)", ("prompt", "response"), _example),
)


def _main_path(text: str) -> tuple[str, str]:
    """A decoded row without its branches, and what to say about it.

    A branch begins with its header; on the main path no header comes after a block's end but in a block.
    """
    if "<Thread>" not in text:
        return text, NO_TAGS
    joined = text.rfind("</Parallel>")
    tail = text[joined:]
    if joined < 0 or "<Parallel>" in tail:
        return text, WHOLE_ROW
    before, header, _ = tail.partition("<Thread>")
    return (text[:joined] + before.rstrip(), CUT) if header else (text, "")


def _limits(joined: Record) -> dict[str, int]:
    prefix = "limit_"
    return {key.removeprefix(prefix): int(joined[key]) for key in joined if key.startswith(prefix)}


def _totals(record: Record) -> Latency | None:
    """The measures of our reward function, which verl's validation dumps have."""
    names = ("total", "longest", "acceleration", "parallel_ratio", "blocks", "threads_per_block")
    if any(_number(record, name) is None for name in names):
        return None
    total, longest, acceleration, ratio, blocks, threads = (float(record[name]) for name in names)
    return Latency(
        total=int(total),
        longest=int(longest),
        acceleration=acceleration,
        self_parallelism=total / longest if longest else 1.0,
        parallel_ratio=ratio,
        blocks=int(blocks),
        threads=round(blocks * threads),
    )


def _correct(record: Record) -> bool | None:
    value = record.get("correct", record.get("acc"))
    return None if value is None else float(value) > 0


def _text(record: Record, key: str) -> str:
    if not isinstance(value := record[key], str):
        raise TypeError(f"{key} is a {type(value).__name__}, not a text")
    return value


def _plain(value: Any) -> str:
    """An answer for people; a list or an object as JSON."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(record: Record, key: str) -> float | None:
    value = record.get(key)
    return None if value is None or not math.isfinite(value) else float(value)


def _others(record: Record, shown: set[str]) -> dict[str, str]:
    """What else the record says, as far as it is a figure or a short text."""
    return {
        str(key): f"{value:g}" if isinstance(value, float) else str(value)
        for key, value in record.items()
        if key not in shown | _REPEATED and isinstance(value, str | int | float) and len(str(value)) <= 80
    }
