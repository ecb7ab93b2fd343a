"""Stage 2 of the data: the model's own trajectories that are well-formed and right become its SFT set (§4.2).

    prompts ─ sampled in parallel mode ─▶ samples.jsonl ─ sifted ─▶ sft.parquet, funnel.json

Every sample is in the file as soon as it is graded, so a run that was broken off goes on where it was, and
other constraints sift the same samples again without decoding any.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from tw_plugins.datasets.responses import without_end
from tw_plugins.engines.choice import Where
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.resume import asked_for, check_settings
from tw_plugins.evaluation.run import EvalSettings, prepare, sample
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.parquet import write_parquet
from tw_plugins.trajectory import ControlTokens

__all__ = ["Funnel", "Keep", "selftrain", "sift"]

SAMPLES, SFT, FUNNEL = "samples.jsonl", "sft.parquet", "funnel.json"


@dataclass(frozen=True)
class Keep:
    """Which of the right and well-formed samples are kept.

    Attributes:
        max_tokens: sampled tokens at most; None keeps any length.
        min_acceleration: η = 1 − longest / total at least; 0 keeps sequential ones too.
        per_prompt: so many of a prompt at most, those of the smallest token latency; None keeps all.
    """

    max_tokens: int | None = None
    min_acceleration: float = 0.0
    per_prompt: int | None = None

    def allows(self, record: EvalRecord) -> bool:
        """Whether one sample is short and parallel enough."""
        if self.max_tokens is not None and record.total > self.max_tokens:
            return False
        return 1 - record.longest / max(record.total, 1) >= self.min_acceleration


@dataclass(frozen=True)
class Funnel:
    """How many samples are left after each step, of the samples of `prompts` prompts.

    Attributes:
        complete: that end by themselves, no limit hit.
        kept: within the constraints, and no copy of another sample.
        prompts_kept: prompts of which a sample is kept.
        verifier_failed: complete samples on which the verifier failed; they count as wrong.
    """

    prompts: int
    samples: int
    complete: int
    correct: int
    well_formed: int
    kept: int
    prompts_kept: int
    verifier_failed: int = 0


def sift(records: Iterable[EvalRecord], ends: tuple[str, ...], keep: Keep) -> tuple[Funnel, list[EvalRecord]]:
    """The funnel, and the kept samples in the order of their prompts.

    Args:
        ends: texts of the tokens that end a turn; a complete sample ends with one.
    """
    samples = list(records)
    complete = [record for record in samples if record.text.endswith(ends) and not record.limits_hit]
    correct = [record for record in complete if record.correct]
    well_formed = [record for record in correct if record.well_formed]
    of_prompt: dict[int, dict[str, EvalRecord]] = defaultdict(dict)
    for record in filter(keep.allows, well_formed):
        of_prompt[record.index].setdefault(record.text, record)
    kept = [
        record
        for index in sorted(of_prompt)
        for record in sorted(of_prompt[index].values(), key=lambda one: one.longest)[: keep.per_prompt]
    ]
    funnel = Funnel(
        prompts=len({record.index for record in samples}),
        samples=len(samples),
        complete=len(complete),
        correct=len(correct),
        well_formed=len(well_formed),
        kept=len(kept),
        prompts_kept=len(of_prompt),
        verifier_failed=sum(record.failed is not None for record in complete),
    )
    return funnel, kept


def selftrain(
    model: str,
    prompts: Path,
    out: Path,
    settings: EvalSettings,
    samples: int,
    keep: Keep = Keep(),
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    where: Where | None = None,
) -> Funnel:
    """Sample every prompt `samples` times in parallel mode and write the SFT set of what is right.

    Args:
        model: folder or name.
        prompts: Parquet file of problems with their answers, as RL reads it.
        samples: per prompt; where `out` has more, the first count.
        out: folder; samples that it has count.
        limit: only the first so many prompts.
        progress: called with how many samples are there and how many there will be.
        where: None decodes with vLLM in this process.

    Raises:
        ResumeError: `out` holds samples of another model, of other prompts or settings.
        EvaluationError, ControlTokenError, EngineError: see `tw_plugins.evaluation.run.evaluate_model`.
    """
    settings = replace(settings, samples=samples)  # which refuses copies, several samples at temperature 0
    prepared = prepare(model, prompts, settings, limit)
    check_settings(out, {"model": model, "prompts": str(prompts), **settings.sampling()})
    done, total = count(1), samples * len(prepared.problems)
    files: dict[Mode, Path] = {"parallel": out / SAMPLES}
    progress(0, total)
    found = sample(model, prepared, files, settings, lambda *_: progress(next(done), total), where)
    records = asked_for(prepared.problems, found["parallel"], samples)
    return _write(out, records, prepared.tags, prepared.problems, keep)


def _write(
    out: Path,
    records: Iterable[EvalRecord],
    tags: ControlTokens,
    problems: Sequence[EvalProblem],
    keep: Keep,
) -> Funnel:
    ends = tuple(tags.decode([token_id]) for token_id in tags.eos_ids)
    funnel, kept = sift(records, ends, keep)
    prompt_of = {problem.index: list(problem.messages) for problem in problems}
    rows = [
        {
            "prompt": prompt_of[record.index],
            "response": without_end(record.text, ends),
            "extra_info": {"index": record.index, "kind": record.kind},
        }
        for record in kept
    ]
    if rows:
        write_parquet(rows, out / SFT)
    else:
        (out / SFT).unlink(missing_ok=True)  # of a run with other constraints
    write_text(out / FUNNEL, json.dumps(asdict(funnel), indent=2) + "\n")
    return funnel
