"""A model folder on a file of problems, with vLLM or on servers: what `threadweaver eval` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tw_plugins.adapter.model_folder import check_model_folder
from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import messages_of
from tw_plugins.datasets.template import ChatTemplate, with_template
from tw_plugins.engines.choice import Replicas, Where, decode_with
from tw_plugins.evaluation.decode import evaluate
from tw_plugins.evaluation.manifest import Asked, check_and_note, made_of
from tw_plugins.evaluation.problems import EvalProblem, read_problems
from tw_plugins.evaluation.records import EvalRecord, append_record, salvage_records, write_records
from tw_plugins.evaluation.resume import asked_for, check_settings, in_order, missing
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.settings import DEFAULTS, EvalSettings
from tw_plugins.rollout import Engine, Limits, Mode
from tw_plugins.trajectory import ControlTokens
from tw_plugins.verifiers import check_verifier

__all__ = [
    "EvalSettings",
    "Prepared",
    "Progress",
    "context_of",
    "evaluate_model",
    "load_tokenizer",
    "prepare",
    "prepare_prompt",
    "record_file",
    "sample",
]

Progress = Callable[[Mode, EvalRecord], None]


def evaluate_model(
    model: str,
    data: Path | str,
    modes: Sequence[Mode],
    out: Path,
    settings: EvalSettings = DEFAULTS,
    limit: int | None = None,
    progress: Progress | None = None,
    where: Where | None = None,
) -> dict[Mode, list[EvalRecord]]:
    """Evaluates a Hugging Face model, and writes ``out/<mode>.jsonl`` for each mode.

    A file grows while its mode is evaluated, one line per sample; in the end it is in the order of the
    problems. What is there already, of the same settings, is not decoded again; where that is more than
    is asked for, the file keeps all, and the first of each problem are returned. What all of it was made of
    is in ``out/manifest.json``.

    Args:
        model: folder or name; of its tokenizer and config where a server decodes.
        data: file of problems or name of a benchmark, see `evaluation.problems.read_problems`.
        limit: only the first so many problems.
        progress: called with every record, those that are there first.
        where: None decodes with vLLM in this process.

    Raises:
        FileNotFoundError: there is no data file.
        ResumeError: `out` holds samples of another model (or of one that has changed since), of other
            problems or settings.
        ControlTokenError: the model's tokenizer lacks a control token.
        EvaluationError: there is no such model, the data cannot be used, or a prompt leaves no room for a
            response.
        SettingsError: limits that contradict each other.
        VerifierError: the verifier cannot be loaded, or fails on everything.
        EngineError: vLLM is missing or fails.
    """
    prepared = prepare(model, data, settings, limit)
    check_settings(out, {"model": model, "data": str(data), "limit": limit, **settings.sampling()})
    asked = Asked(model, str(data), tuple(modes), limit, settings, where)
    made = made_of(model, str(data), prepared.problems, prepared.chat_template)
    files = {mode: record_file(out, mode) for mode in modes}
    places = {problem.index: place for place, problem in enumerate(prepared.problems)}
    results: dict[Mode, list[EvalRecord]] = {}
    for mode, records in sample(
        model, prepared, files, settings, progress, where, partial(check_and_note, out, asked, made)
    ).items():
        records.sort(key=lambda record: places.get(record.index, len(places)))
        write_records(records, files[mode])
        results[mode] = asked_for(prepared.problems, records, settings.samples)
    return results


class Prepared(NamedTuple):
    """What decoding a file of problems with a model takes; `engine_args` are `VLLMEngine`'s."""

    tags: ControlTokens
    problems: list[EvalProblem]
    limits: Limits
    engine_args: dict[str, Any]
    chat_template: Any = None


def prepare(model: str, data: Path | str, settings: EvalSettings, limit: int | None = None) -> Prepared:
    """Reads tokenizer and problems, fits the limits to the model's context; raises as `evaluate_model`."""
    check_model_folder(model)
    tokenizer = with_template(load_tokenizer(model), settings.chat_template)
    tags = ControlTokens.from_tokenizer(tokenizer)
    columns = Columns(settings.prompt_key, settings.answer_key)
    problems = read_problems(data, tokenizer, limit, settings.instruction, columns, settings.verifier)
    check_verifier(settings, {str(problem.extra["data_source"]) for problem in problems})
    longest_prompt = max(len(problem.prompt_ids) for problem in problems)
    limits, engine_args = _fitted(model, longest_prompt, settings)
    return Prepared(tags, problems, limits, engine_args, tokenizer.chat_template)


def prepare_prompt(
    model: str, prompt: str, settings: EvalSettings
) -> tuple[ControlTokens, list[int], Limits, dict[str, Any]]:
    """The same for one message of a user: tags, ids of the prompt, limits and `VLLMEngine`'s arguments."""
    check_model_folder(model)
    tokenizer = with_template(load_tokenizer(model), settings.chat_template)
    tags = ControlTokens.from_tokenizer(tokenizer)
    try:
        ids = ChatTemplate(tokenizer).prompt(messages_of(prompt)).ids
    except BadRow as bad:
        raise EvaluationError(f"--prompt cannot be asked: {bad}") from bad
    return tags, ids, *_fitted(model, len(ids), settings)


def _fitted(model: str, longest_prompt: int, settings: EvalSettings) -> tuple[Limits, dict[str, Any]]:
    """Limits that the model's context allows, and the engine's arguments."""
    limits = settings.limits(_context(model, longest_prompt))
    engine_args = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_model_len": longest_prompt + limits.max_tokens,
        "seed": settings.seed,
        **settings.engine_args,
    }
    return limits, engine_args


def sample(
    model: str,
    prepared: Prepared,
    files: Mapping[Mode, Path],
    settings: EvalSettings,
    progress: Progress | None = None,
    where: Where | None = None,
    begins: Callable[[int, int, bool], None] = lambda seed, there, decodes: None,
) -> dict[Mode, list[EvalRecord]]:
    """Decodes what the files lack of ``settings.samples`` of each problem, all modes on the same engine.

    Args:
        files: where the records of each mode are; a record is appended as it is made.
        progress: called with every record, those that are there first.
        where: None decodes with vLLM in this process.
        begins: called with the engine's seed, how many samples are there, and whether any is missing.

    Returns:
        All that the files hold then, the samples of a problem in their order.

    Raises:
        ResumeError: a file has samples of other problems.
        EngineError: vLLM is missing or fails.
    """
    tags, problems, limits, engine_args, _ = prepared
    there = {mode: salvage_records(path) for mode, path in files.items()}
    todo = {mode: missing(problems, found, settings.samples) for mode, found in there.items()}
    if progress:
        for mode, found in there.items():
            for record in asked_for(problems, found, settings.samples):
                progress(mode, record)

    def keep(mode: Mode, record: EvalRecord) -> None:
        append_record(record, files[mode])
        if progress:
            progress(mode, record)

    async def decode(engine: Engine) -> None:
        for mode, found in there.items():
            timed = settings.wall_clock_problems - sum(record.wall_s is not None for record in found)
            kept = partial(keep, mode)
            at_a_time = settings.concurrency
            await evaluate(engine, tags, todo[mode], mode, limits, at_a_time, timed, settings, kept)

    before = sum(map(len, there.values()))
    # another seed than the run that was broken off, or it would sample the same again; replicas make one of
    # each sample's number
    seed = settings.seed + (0 if isinstance(where, Replicas) else before)
    begins(seed, before, any(todo.values()))
    if any(todo.values()):
        decode_with(model, {**engine_args, "seed": seed}, where, decode)
    return {mode: in_order(salvage_records(path)) for mode, path in files.items()}


def record_file(out: Path, mode: Mode) -> Path:
    """Where the records of a mode are."""
    return out / f"{mode}.jsonl"


def load_tokenizer(model: str) -> Any:
    """The tokenizer of a model's folder or name.

    Raises:
        ModelFolderError: the folder is that of something else, and there is none in it.
        EvaluationError: there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        check_model_folder(model)
        if Path(model).is_absolute() and not Path(model).exists():
            raise EvaluationError(
                f"cannot load the tokenizer of {model}: there is no such folder, check the path"
            ) from error
        reason = str(error).strip().splitlines()[0]
        raise EvaluationError(f"cannot load the tokenizer of {model}: {reason}") from error


def context_of(model: str) -> int:
    """Tokens of a model's longest context, as its config says.

    Raises:
        EvaluationError: there is none.
    """
    from transformers import AutoConfig

    try:
        positions: int = AutoConfig.from_pretrained(model).get_text_config().max_position_embeddings
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EvaluationError(
            f"cannot load the config of {model}: {reason} Give the folder of a Hugging Face model."
        ) from error
    return positions


def _context(model: str, longest_prompt: int) -> int:
    """Tokens that the model's context leaves for a response."""
    positions = context_of(model)
    if positions <= longest_prompt:
        raise EvaluationError(
            f"the longest prompt has {longest_prompt} tokens, the context of {model} is {positions}: "
            "leave that problem out or take a model with a longer context"
        )
    return positions - longest_prompt
