"""Evaluation: decoding and grading, files of records, figures, speed-ups."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.support.fakes import EOS, ScriptedEngine
from tests.support.records import CLOSE, OPEN, RECORD, TAGS, THREADS
from tests.support.tokenizers import tokenizer
from tw_plugins.evaluation import run
from tw_plugins.evaluation.decode import evaluate
from tw_plugins.evaluation.figures import by_kind, describe
from tw_plugins.evaluation.problems import EvalProblem, read_problems
from tw_plugins.evaluation.records import (
    EvalRecord,
    RecordError,
    Span,
    append_record,
    read_records,
    salvage_records,
    write_records,
)
from tw_plugins.evaluation.run import EvalSettings, Prepared, evaluate_model, sample
from tw_plugins.evaluation.scores import EvaluationError, speedup, speedups, summarise
from tw_plugins.rollout import Completion, EngineError, Limits, Mode
from tw_plugins.settings import SettingsError
from tw_plugins.storage.parquet import DataFileError
from tw_plugins.verifiers import VerifierSettings

LIMITS = Limits(max_tokens=400, max_thread_tokens=100, answer_reserve=50)


def problem(index: int = 0, kind: str = "decomposable", reference: str = "7") -> EvalProblem:
    return EvalProblem(index, kind, f"problem {index}", TAGS.encode(f"problem {index}"), reference)


class Counting:
    """Answers at once, and counts how many requests are under way together."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.prompts: list[str] = []

    async def generate(self, prompt_ids: Sequence[int], **_: Any) -> Completion:
        self.prompts.append(TAGS.decode(prompt_ids))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return Completion(TAGS.encode("\\boxed{7}" + EOS), None, "stop")


async def test_a_record_of_a_forked_trajectory() -> None:
    engine = ScriptedEngine.from_texts(TAGS, OPEN, *THREADS, CLOSE)
    (record,) = await evaluate(engine, TAGS, [problem()], "parallel", LIMITS, concurrency=4)
    lengths = [len(TAGS.encode(text)) for text in (OPEN, *THREADS, CLOSE)]
    assert record.spans == (
        Span(None, None, lengths[0]),
        Span(1, 1, lengths[1]),
        Span(1, 2, lengths[2]),
        Span(None, None, lengths[3]),
    )
    assert (record.total, record.longest) == (sum(lengths), sum(lengths) - lengths[1])
    assert (record.correct, record.well_formed, record.blocks, record.threads) == (True, True, 1, 2)
    assert record.wall_s is None and record.limits_hit == {} and record.prompt == "problem 0"
    assert record.text.endswith("2: bbbb\n</Thread>\n" + CLOSE)


async def test_wrong_missing_and_malformed_answers() -> None:
    replies = ["\\boxed{8}" + EOS, "seven" + EOS, "<Thread>\\boxed{7}" + EOS]
    engine = ScriptedEngine.from_texts(TAGS, *replies)
    records = await evaluate(engine, TAGS, [problem(i) for i in range(3)], "autoregressive", LIMITS, 1)
    assert [record.correct for record in records] == [False, False, True]
    assert [record.well_formed for record in records] == [True, True, False]
    assert [record.unanswered for record in records] == [False, True, False]
    (found,) = by_kind(records).values()
    assert describe(found)["unanswered"]["value"] == pytest.approx(1 / 3)


async def test_what_counts_as_an_answer_is_a_setting() -> None:
    replies = ["so\nAnswer: 7" + EOS, "\\boxed{7.01}" + EOS]
    problems = [problem(index) for index in range(2)]
    for grading, correct in (
        (VerifierSettings(), [False, False]),
        (VerifierSettings(answer_line=True, tolerance=0.01), [True, True]),
    ):
        engine = ScriptedEngine.from_texts(TAGS, *replies)
        records = await evaluate(engine, TAGS, problems, "autoregressive", LIMITS, 1, grading=grading)
        assert [record.correct for record in records] == correct


async def test_the_clock_is_read_only_one_at_a_time() -> None:
    engine, seen = Counting(), []
    alone = await evaluate(
        engine, TAGS, [problem(i) for i in range(5)], "parallel", LIMITS, 8, wall_clock_problems=5,
        progress=seen.append,
    )  # fmt: skip
    assert engine.most == 1 and all(record.wall_s and record.wall_s > 0 for record in alone)
    assert seen == alone
    for record in alone:
        (span,) = record.spans
        assert span.seconds and 0 <= span.seconds[0] <= span.seconds[1] <= record.wall_s
    together = await evaluate(engine, TAGS, [problem(i) for i in range(9)], "parallel", LIMITS, 3)
    assert engine.most == 3 and all(record.wall_s is None for record in together)
    assert all(span.seconds is None for record in together for span in record.spans)
    assert [record.index for record in together] == list(range(9))


async def test_timed_subset_is_the_first_decomposable_problems_after_a_warm_up() -> None:
    engine = Counting()
    kinds = ["chain", "decomposable", "chain", "decomposable", "decomposable"]
    problems = [problem(index, kind) for index, kind in enumerate(kinds)]
    records = await evaluate(engine, TAGS, problems, "parallel", LIMITS, 8, wall_clock_problems=2)
    assert [record.wall_s is not None for record in records] == [False, True, False, True, False]
    assert [record.index for record in records] == [0, 1, 2, 3, 4]
    assert sorted(int(prompt[-1]) for prompt in engine.prompts[:3]) == [0, 2, 4]
    assert [int(prompt[-1]) for prompt in engine.prompts[3:]] == [3, 4, 1, 3]


async def test_without_timing_nothing_is_decoded_twice() -> None:
    engine = Counting()
    records = await evaluate(engine, TAGS, [problem()], "parallel", LIMITS, 1, wall_clock_problems=0)
    assert len(engine.prompts) == 1 and records[0].wall_s is None


async def test_an_engine_error_ends_the_evaluation() -> None:
    engine = ScriptedEngine([RuntimeError("engine died")] * 3)
    with pytest.raises(RuntimeError, match="engine died"):
        await evaluate(engine, TAGS, [problem(i) for i in range(3)], "parallel", LIMITS, 2)


async def test_an_answer_that_the_engine_broke_off_is_no_record() -> None:
    class Aborting:
        async def generate(self, prompt_ids: Sequence[int], **_: Any) -> Completion:
            return Completion(TAGS.encode("\\boxed{7}"), None, "abort")

    made: list[EvalRecord] = []
    with pytest.raises(EngineError, match="broke off its answer to the problem of index 3"):
        await evaluate(Aborting(), TAGS, [problem(3)], "parallel", LIMITS, 1, progress=made.append)
    assert not made


def test_one_of_an_earlier_version_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "parallel.jsonl"
    write_records([RECORD, replace(RECORD, limits_hit={"abort": 1})], path)
    with pytest.raises(RecordError, match="line 2: the engine broke this answer off"):
        read_records(path)
    assert salvage_records(path) == [RECORD]


async def test_concurrency_must_be_positive() -> None:
    with pytest.raises(EvaluationError, match="concurrency is 0"):
        await evaluate(Counting(), TAGS, [problem()], "parallel", LIMITS, 0)


def test_modes_run_on_the_same_engine_and_every_record_is_in_its_file_before_it_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[Counting] = []
    seen: list[tuple[Mode, int]] = []

    def decode_with(model: str, engine_args: Any, server: None, work: Any) -> None:
        engines.append(Counting())
        asyncio.run(work(engines[-1]))

    def report(mode: Mode, record: EvalRecord) -> None:
        assert record in read_records(files[mode])
        seen.append((mode, record.index))

    monkeypatch.setattr(run, "decode_with", decode_with)
    files = {mode: tmp_path / f"{mode}.jsonl" for mode in get_args(Mode)}
    prepared = Prepared(TAGS, [problem(0), problem(1)], LIMITS, {})
    results = sample("m", prepared, files, EvalSettings(concurrency=1), report)
    assert {mode: [r.mode for r in records] for mode, records in results.items()} == {
        "parallel": ["parallel"] * 2,
        "autoregressive": ["autoregressive"] * 2,
    }
    assert seen == [("parallel", 0), ("parallel", 1), ("autoregressive", 0), ("autoregressive", 1)]
    assert sample("m", prepared, files, EvalSettings(), report) == results and seen[4:] == seen[:4]
    (engine,) = engines
    assert engine.most == 1 and all(record.wall_s is None for record in results["parallel"])


def test_limits_are_cut_to_the_context_and_contradictions_are_named() -> None:
    assert EvalSettings(max_tokens=1000).limits(600).max_tokens == 600
    assert EvalSettings(max_tokens=1000).limits(5000).answer_reserve == 125
    with pytest.raises(SettingsError, match=r"answer_reserve \(700\)"):
        EvalSettings(answer_reserve=700).limits(600)


def test_records_survive_a_file(tmp_path: Path) -> None:
    records = [RECORD, replace(RECORD, index=1, wall_s=0.25, limits_hit={"max_tokens": 1}, text="a\nb ü")]
    write_records(records, tmp_path / "sub" / "parallel.jsonl")
    assert read_records(tmp_path / "sub" / "parallel.jsonl") == records
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["parallel.jsonl"]


def test_a_file_grows_by_records(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "parallel.jsonl"
    for index in range(3):
        append_record(replace(RECORD, index=index), path)
        assert [record.index for record in read_records(path)] == list(range(index + 1))


def test_older_files_do_not_say_what_was_unanswered(tmp_path: Path) -> None:
    path = tmp_path / "parallel.jsonl"
    write_records([RECORD], path)
    data = json.loads(path.read_text())
    del data["unanswered"]
    path.write_text(json.dumps(data))
    assert read_records(path) == [RECORD]


def test_a_half_written_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "parallel.jsonl"
    write_records([RECORD, RECORD], path)
    path.write_text(path.read_text()[:-30])
    with pytest.raises(RecordError, match=r"parallel\.jsonl, line 2: not a whole JSON record"):
        read_records(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("longest"), "line 1: a record has the fields"),
        (lambda data: data.update(spans=[{"block": 1}]), "line 1: spans must be"),
        (lambda data: data.update(spans=3), "line 1: spans must be"),
    ],
)
def test_a_foreign_record_is_named(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "x.jsonl"
    write_records([RECORD], path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=message):
        read_records(path)


def test_summary_by_hand() -> None:
    chain = replace(RECORD, index=2, kind="chain", correct=False, blocks=0, threads=0, total=60, longest=60)
    second = replace(RECORD, index=1, blocks=0, well_formed=False, longest=40, wall_s=2.0)
    summary = summarise([RECORD, second, chain])
    assert summary == {
        "n": 3,
        "accuracy": pytest.approx(2 / 3),
        "format": pytest.approx(2 / 3),
        "token_latency": 40,
        "total_tokens": pytest.approx(140 / 3),
        "activation": {"decomposable": 0.5, "chain": 0.0},
        "wall_s_mean": 2.0,
        "accuracy_by_kind": {"decomposable": 1.0, "chain": 0.0},
        "token_latency_by_kind": {"decomposable": 30, "chain": 60},
    }
    assert list(summary["activation"]) == ["decomposable", "chain"]
    with pytest.raises(EvaluationError, match="no record"):
        summarise([])


def test_speedup_is_a_mean_of_ratios_over_decomposable_problems() -> None:
    own = [
        replace(RECORD, index=0, longest=10, wall_s=1.0),
        replace(RECORD, index=1, longest=40, correct=False),
        replace(RECORD, index=2, kind="chain", longest=1),
    ]
    base = [
        replace(RECORD, index=1, longest=20, wall_s=9.0),
        replace(RECORD, index=0, longest=30, wall_s=2.0),
        replace(RECORD, index=2, kind="chain", longest=100),
    ]
    assert speedups(own, base) == {0: 3.0, 1: 0.5}
    assert speedup(own, base) == {
        "token_latency": 1.75,
        "token_latency_correct_only": 3.0,
        "token_latency_max": 3.0,
        "wall_clock": 2.0,
    }
    assert speedup(own, base, kind=None)["token_latency_max"] == 100


def test_speedup_takes_the_mean_over_a_problems_samples_first() -> None:
    own = [replace(RECORD, longest=longest) for longest in (10, 30)]
    base = [replace(RECORD, longest=longest) for longest in (40, 80)]
    assert speedup(own, base)["token_latency"] == 60 / 20


def test_speedup_without_timed_or_correct_problems_is_none_there() -> None:
    wrong = [replace(RECORD, correct=False, longest=0)]
    result = speedup(wrong, [RECORD])
    assert (result["token_latency"], result["token_latency_correct_only"], result["wall_clock"]) == (
        20,
        None,
        None,
    )


def test_speedup_of_different_problems_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"1 problems were answered by only one .* index 5"):
        speedup([RECORD], [RECORD, replace(RECORD, index=5)])
    with pytest.raises(EvaluationError, match="no decomposable problem"):
        speedup([replace(RECORD, kind="chain")], [replace(RECORD, kind="chain")])


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"cannot load the tokenizer of .*/no_model"):
        evaluate_model(str(tmp_path / "no_model"), tmp_path / "d.parquet", ["parallel"], tmp_path)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def row(content: str = "hi", truth: Any = "7", **extra: Any) -> dict[str, Any]:
    prompt = [{"role": "user", "content": content}]
    return {
        "prompt": prompt,
        "reward_model": {"ground_truth": truth},
        "extra_info": {"split": "test", **extra},
    }


def test_problems_from_parquet(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "p.parquet", [row("hi", "7", kind="chain", index=9), row("yo", "0")])
    first, second = read_problems(path, tokenizer())
    assert first == EvalProblem(9, "chain", "hi", TAGS.encode("hi>"), "7")
    assert second.reference == "0"
    assert read_problems(path, tokenizer(), limit=1) == [first]
    plain = {**row(), "extra_info": {"split": "test"}}
    named = read_problems(write_rows(tmp_path / "q.parquet", [plain, plain]), tokenizer())
    assert [(problem.index, problem.kind) for problem in named] == [(0, "all"), (1, "all")]


def test_a_reference_of_zero_is_a_reference(tmp_path: Path) -> None:
    (only,) = read_problems(write_rows(tmp_path / "p.parquet", [row(truth=0)]), tokenizer())
    assert only.reference == "0"


def test_unusable_problem_files(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"none\.parquet is no file or folder"):
        read_problems(tmp_path / "none.parquet", tokenizer())
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataFileError, match=r"text\.parquet cannot be read as Parquet"):
        read_problems(tmp_path / "text.parquet", tokenizer())
    path = write_rows(tmp_path / "column.parquet", [{"prompt": "x"}])
    with pytest.raises(DataFileError, match=r"row 0 has no column reward_model.* it has prompt"):
        read_problems(path, tokenizer())
    path = write_rows(tmp_path / "truth.parquet", [row(), row(truth=" ")])
    with pytest.raises(EvaluationError, match="no problem to evaluate"):
        read_problems(path, tokenizer(), limit=0)
    with pytest.raises(EvaluationError, match=r"has 1 problems, 3 are asked for: lower --limit"):
        read_problems(path, tokenizer(), limit=3)
