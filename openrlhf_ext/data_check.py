"""OpenRLHF's data flags, checked before any process starts: as the commands will read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from openrlhf_ext.blending import local, shares_of
from openrlhf_ext.settings import RLSettings
from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.examples import Example, examples_of, wanted_by
from tw_plugins.datasets.holes import Hole, Holes
from tw_plugins.datasets.questions import questions
from tw_plugins.datasets.rows import Row, is_source_of_files, read_rows
from tw_plugins.datasets.template import ChatTemplate, Template, TextTemplate
from tw_plugins.errors import UserError
from tw_plugins.storage.parquet import DataFileError

Rows = Iterator[Row | Hole]


def columns_of(data: Any, answer: str | None = None, response: str | None = None) -> Columns:
    """Those that the flags name; upstream's default, `input`, is the last of the usual names."""
    return Columns(None if data.input_key == "input" else data.input_key, answer, response)


def template_of(tokenizer: Any, data: Any, input_template: str | None) -> Template:
    """The chat template with `--data.apply_chat_template`, else the pattern of `--data.input_template`."""
    return ChatTemplate(tokenizer) if data.apply_chat_template else TextTemplate(tokenizer, input_template)


def check_prompts(
    flag: str, datasets: str | None, split: str, data: Any, settings: RLSettings, tokenizer: Any
) -> set[str]:
    """Every local source has prompts, none of them bad where that is an error.

    Args:
        data: OpenRLHF's `args.data`.
        tokenizer: None where it is not to be loaded yet; prompts are not templated then.

    Returns:
        Every `data_source` in them.

    Raises:
        DataFileError: the message begins with the flag.
    """

    found: set[str] = set()

    def seen(example: Example | Hole) -> Example | Hole:
        found.update(() if isinstance(example, Hole) else (example.extra["data_source"],))
        return example

    def asked(rows: Rows) -> Iterator[object]:
        columns = columns_of(data, answer=data.label_key)
        examples = map(seen, examples_of(rows, wanted_by(settings.verifier), columns))
        if tokenizer is None:
            return examples
        return questions(examples, template_of(tokenizer, data, data.input_template), settings.instruction)

    _check(flag, datasets, split, settings.strict, asked)
    return found


def check_responses(flag: str, datasets: str | None, split: str, data: Any) -> None:
    """Every local source has the columns of SFT; raises as `check_prompts`."""
    columns = columns_of(data, response=data.output_key)
    _check(flag, datasets, split, False, lambda rows: examples_of(rows, "response", columns))


def check_shares(flag: str, probabilities: str | None, datasets: str) -> None:
    """Shares, where there are some, fit the data sets; raises as `check_prompts`."""
    if probabilities is None:
        return
    try:
        shares_of(probabilities, datasets)
    except DataFileError as error:
        raise DataFileError(f"{flag}: {error}") from error


def _check(
    flag: str, datasets: str | None, split: str, strict: bool, read: Callable[[Rows], Iterator[object]]
) -> None:
    """What the hub has is looked at when it is loaded."""
    for source in map(str.strip, datasets.split(",") if datasets else ()):
        path = local(source)
        if path is None and not is_source_of_files(source):
            continue
        holes = Holes(strict)
        try:
            if not sum(1 for _ in holes.out_of(read(read_rows(path or source, split)))):
                raise DataFileError("; ".join([f"{source} has nothing that can be used", *holes.lines()]))
        except UserError as error:
            raise DataFileError(f"{flag}: {error}") from error
