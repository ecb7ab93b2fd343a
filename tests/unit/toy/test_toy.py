"""The toy task: problems, working, tokenizer, model and data sets."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tw_plugins.cli.app import app
from tw_plugins.toy.dataset import Mixture, make_dataset, sort_within_batches
from tw_plugins.toy.digits import KINDS, SMOKE, STANDARD, Problem, Sizes, draw, split_of
from tw_plugins.toy.model import SMOKE_MODEL, ModelSize, make_model, save
from tw_plugins.toy.preset import SMOKE_PRESET, write_files
from tw_plugins.toy.tokenizer import BOXED, CONTROL_TAGS, SPECIAL, TOKENS, make_tokenizer
from tw_plugins.toy.working import solution

EXAMPLE = ((3, 5), (1, 4))
STEP = re.compile(r"[a-z](\d)-(\d)=(\d)")


def problems(kind: str, count: int = 50, sizes: Sizes = STANDARD) -> list[Problem]:
    rng = random.Random(f"{kind}{count}")
    return [draw(rng, kind, sizes) for _ in range(count)]  # type: ignore[arg-type]


def test_decomposable_example_by_hand() -> None:
    problem = Problem("decomposable", EXAMPLE)
    assert problem.prompt == "Aa3b5+Bc1d4?\n"
    assert (problem.results, problem.answer) == ((2, 3), 1)
    lines = ["A:0a3-0=3b5-3=2U2", "B:0c1-0=1d4-1=3V3"]
    end = "U2V3=1\n</think>\n\\boxed{1}"
    assert solution(problem, parallel=False) == f"<think>\n{lines[0]}\n{lines[1]}\n{end}"
    assert solution(problem, parallel=True) == (
        "<think>\n<Parallel>\n<Outlines>\n<Outline>1: A</Outline>\n<Outline>2: B</Outline>\n</Outlines>\n"
        f"<Thread>\n1: {lines[0]}\n</Thread><Thread>\n2: {lines[1]}\n</Thread>\n</Parallel>\n{end}"
    )


def test_chain_example_by_hand() -> None:
    problem = Problem("chain", EXAMPLE)
    assert problem.prompt == "Aa3b5>Bc1d4?\n"
    expected = "<think>\nA:0a3-0=3b5-3=2U2\nB:2c1-2=1d4-1=3V3\n</think>\n\\boxed{3}"
    assert (solution(problem, parallel=False), problem.answer) == (expected, 3)


def test_a_chain_has_no_parallel_solution() -> None:
    with pytest.raises(ValueError, match="chain problem has no parallel solution"):
        solution(Problem("chain", EXAMPLE), parallel=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_of_the_working_is_true_and_leads_to_the_answer(kind: str) -> None:
    for problem in problems(kind):
        text = solution(problem, parallel=kind == "decomposable")
        steps = STEP.findall(text)
        assert [int(x) for x, _, _ in steps] == [digit for group in problem.groups for digit in group]
        assert all(int(n) == abs(int(x) - int(r)) for x, r, n in steps)
        assert text.endswith(f"\\boxed{{{problem.answer}}}")


def test_a_fork_shortens_the_token_latency_enough() -> None:
    """Sequential total over parallel longest (sampled tokens), counted from the text."""
    tokenizer = make_tokenizer()
    ratios = []
    for problem in problems("decomposable", 100):
        before, after = solution(problem, parallel=True).split("</Outlines>")
        threads = re.findall(r"<Thread>\n\d:(.*?</Thread>)", after, re.DOTALL)
        end = after.rpartition("</Thread>\n")[2]
        eos_and_close = 2
        longest = len(tokenizer.encode(before + end)) + max(len(tokenizer.encode(t)) for t in threads)
        sequential = len(tokenizer.encode(solution(problem, parallel=False))) + 1
        ratios.append(sequential / (longest + eos_and_close))
    assert sum(ratios) / len(ratios) > 1.7


@pytest.mark.parametrize(
    ("shapes", "base", "message"),
    [
        (((4, 9),), 6, r"has \(4, 9\)"),
        (((0, 3),), 6, r"has \(0, 3\)"),
        ((), 6, "empty"),
        (((2, 2),), 11, "base is 11"),
    ],
)
def test_sizes_that_cannot_work(shapes: tuple[tuple[int, int], ...], base: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sizes(shapes, base)


def test_splits_never_share_digits_whatever_the_seed_and_kind() -> None:
    digits = {
        split: {re.sub(r"[^A-Z0-9]", "", record["prompt"][0]["content"]) for record in records}
        for split, records in (
            ("train", make_dataset(1500, 1, "train", Mixture(sizes=SMOKE))),
            ("test", make_dataset(200, 2, "test", Mixture(sizes=SMOKE))),
        )
    }
    assert not digits["train"] & digits["test"]


def test_a_tenth_is_held_out() -> None:
    share = sum(split_of(problem) == "test" for problem in problems("chain", 2000)) / 2000
    assert 0.07 < share < 0.13


def test_dataset_is_deterministic_in_its_arguments() -> None:
    mixture = Mixture(warm_up_rows=5)
    assert make_dataset(20, 3, "train", mixture) == make_dataset(20, 3, "train", mixture)
    assert make_dataset(20, 3, "train", mixture) != make_dataset(20, 4, "train", mixture)


def test_problems_do_not_repeat() -> None:
    records = make_dataset(400, 0, "train", Mixture(sizes=SMOKE))
    prompts = [record["prompt"][0]["content"] for record in records]
    assert len(set(prompts)) == len(prompts)


def test_asking_for_more_problems_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="no unused"):
        make_dataset(200, 0, "train", Mixture(sizes=Sizes(((1, 1),), base=3)))


def test_baseline_has_the_same_problems_in_the_same_order() -> None:
    mixed = Mixture(p_parallel=0.6, warm_up_rows=10)
    parallel = make_dataset(60, 0, "train", mixed)
    sequential = make_dataset(60, 0, "train", replace(mixed, p_parallel=0.0))
    without_text = [[{**r, "response": None} for r in records] for records in (parallel, sequential)]
    assert without_text[0] == without_text[1]
    assert any("<Parallel>" in r["response"] for r in parallel)
    assert not any("<Parallel>" in r["response"] for r in sequential)


def test_mixture_shares() -> None:
    records = make_dataset(400, 0, "train", Mixture(decomposable=0.75, p_parallel=0.5))
    kinds = [record["extra_info"]["kind"] for record in records]
    threads = [record["extra_info"]["kind"] for record in records if "<Parallel>" in record["response"]]
    assert kinds.count("decomposable") == 300
    assert set(threads) == {"decomposable"} and 110 < len(threads) < 190


@pytest.mark.parametrize("field", ["decomposable", "p_parallel"])
def test_mixture_names_a_share_out_of_range(field: str) -> None:
    with pytest.raises(ValueError, match=rf"Mixture.{field} is 1.5"):
        Mixture(**{field: 1.5})


def test_warm_up_rows_come_first() -> None:
    records = make_dataset(30, 0, "train", Mixture(warm_up_rows=10, warm_up=Sizes(((2, 4),))))
    assert list(map(letters_of, records)) == [8] * 10 + [20] * 20


def test_no_letter_is_new_after_the_warm_up() -> None:
    """Letters that the warm-up lacks cost some seeds hundreds of steps."""
    records = make_dataset(200, 0, "train", Mixture(warm_up_rows=200))
    assert max(map(letters_of, records)) == max(groups * digits for groups, digits in STANDARD.shapes)
    assert min(map(letters_of, records)) < 10


def letters_of(record: dict[str, Any]) -> int:
    return sum(char.islower() for char in record["prompt"][0]["content"])


def test_sorting_keeps_the_batches_and_puts_threads_last() -> None:
    records = make_dataset(40, 0, "train", Mixture(decomposable=1.0, sizes=Sizes(((3, 3),))))
    ordered = sort_within_batches(records, 16)
    assert ordered != records
    for start, end in ((0, 16), (16, 32), (32, 40)):
        assert sorted(map(str, ordered[start:end])) == sorted(map(str, records[start:end]))
        in_threads = ["<Parallel>" in record["response"] for record in ordered[start:end]]
        assert in_threads == sorted(in_threads)


def test_tokenizer_gives_the_exact_text_back() -> None:
    tokenizer = make_tokenizer()
    for record in make_dataset(30, 0, "train"):
        text = record["prompt"][0]["content"] + record["response"] + tokenizer.eos_token
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        pieces = re.findall("|".join(map(re.escape, (*SPECIAL, BOXED))) + r"|[\s\S]", text)
        assert [tokenizer.convert_ids_to_tokens(i) for i in ids] == pieces


def test_every_token_is_one_id_and_specials_are_special() -> None:
    tokenizer = make_tokenizer()
    tokens = list(TOKENS)
    assert [tokenizer.encode(token) for token in tokens] == [[i] for i in range(len(tokens))]
    assert len(tokenizer) == len(tokens) == len(set(tokens))
    assert set(CONTROL_TAGS) < set(tokenizer.all_special_tokens)
    assert tokenizer.decode(tokenizer.encode("a1<Thread>" + BOXED), skip_special_tokens=True) == "a1" + BOXED


def test_chat_template_adds_nothing() -> None:
    messages = [{"role": "user", "content": "Aa3?\n"}]
    text = make_tokenizer().apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "Aa3?\n"


def test_model_is_deterministic_and_fits_the_tokenizer() -> None:
    torch = pytest.importorskip("torch")
    tokenizer = make_tokenizer()
    state = torch.random.get_rng_state()
    first, again, other = (make_model(tokenizer, seed, SMOKE_MODEL) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    rows = first.get_input_embeddings().weight
    assert rows.shape[0] == len(tokenizer) and first.lm_head.weight is rows
    assert torch.equal(rows, again.get_input_embeddings().weight)
    assert not torch.equal(rows, other.get_input_embeddings().weight)


def test_attention_can_be_sharp_from_the_start() -> None:
    """Look-ups among hundreds of tokens need scores that scales of 1 do not allow."""
    pytest.importorskip("torch")
    size = ModelSize(layers=1)
    (layer,) = make_model(make_tokenizer(), 0, size).model.layers
    scales = [norm.weight for norm in (layer.self_attn.q_norm, layer.self_attn.k_norm)]
    assert all(scale.eq(size.qk_norm).all() for scale in scales)
    score = size.qk_norm**2 * size.head_dim**0.5  # of a query and the key that points its way
    assert math.exp(score) > 10 * 400


def test_saved_folder_loads_as_usual(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, 0, SMOKE_MODEL)
    save(tmp_path / "model", tokenizer, model)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    text = solution(problems("decomposable", 1)[0], parallel=True)
    assert loaded.encode(text) == tokenizer.encode(text) and loaded.decode(loaded.encode(text)) == text
    assert loaded.chat_template == tokenizer.chat_template and loaded.pad_token_id == tokenizer.pad_token_id
    ids = torch.tensor([tokenizer.encode(text)])
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        assert torch.allclose(again(ids).logits, model(ids).logits, atol=1e-5)


def test_preset_files(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("torch")
    paths = write_files(tmp_path, 0, SMOKE_PRESET)
    assert set(paths) == {"sft", "sft_sequential", "rl", "eval", "model"}
    tables = {name: parquet.read_table(path).to_pylist() for name, path in paths.items() if name != "model"}
    assert [len(tables[name]) for name in ("sft", "sft_sequential", "rl", "eval")] == [128, 128, 16, 16]
    kinds = [record["extra_info"]["kind"] for record in tables["eval"]]
    assert kinds.count("chain") == kinds.count("decomposable") == 8
    prompts = {name: [record["prompt"] for record in table] for name, table in tables.items()}
    assert prompts["rl"] != prompts["sft"][:16]
    for start in range(0, 128, SMOKE_PRESET.sft_batch):  # the same batches, whatever the order inside
        batch = slice(start, start + SMOKE_PRESET.sft_batch)
        assert sorted(map(str, prompts["sft"][batch])) == sorted(map(str, prompts["sft_sequential"][batch]))
    assert (paths["model"] / "config.json").exists()


def test_the_command_writes_a_preset(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("torch")
    done = CliRunner().invoke(app, ["data", "toy", "--preset", "forking", "--out", str(tmp_path)])
    assert done.exit_code == 0
    *files, following = done.stdout.splitlines()
    written = dict(line.split(": ") for line in files)
    assert following.startswith(f"next: threadweaver data check {written['sft']} --model ")
    assert set(written) == {"sft", "sft_sequential", "rl", "eval", "model"}
    assert all("<Thread>" in row["response"] for row in parquet.read_table(written["sft"]).to_pylist())
    wrong = CliRunner().invoke(app, ["data", "toy", "--preset", "large", "--out", str(tmp_path)])
    assert wrong.exit_code == 2 and "standard, smoke, forking" in wrong.output
