"""What a pipeline's file may say, as pydantic checks it; `docs/pipeline.md` shows one whole.

Paths are of the file's own folder. What is not there and does not look like a path is a name of the hub, or
of a benchmark. Where a value differs by framework, it may be a mapping with a value for each.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from tw_plugins.datasets.rows import is_source_of_files
from tw_plugins.settings import closest
from tw_plugins.verifiers.names import MATH

__all__ = ["STAGES", "Asked", "Context", "Evaluation", "Options", "Training"]

StageName = Literal["data", "add-tokens", "stage1", "sft", "selftrain", "rl", "eval"]
STAGES: tuple[StageName, ...] = get_args(StageName)
"""In their order; `report` follows."""


class Context:
    """What a file is read in: its folder, the frameworks that are installed, and how their recipes end."""

    def __init__(self, folder: Path, suffixes: Mapping[str, str], framework: str = "") -> None:
        self.folder, self.suffixes, self.framework = folder, suffixes, framework

    @property
    def suffix(self) -> str | None:
        """Of the framework's recipes; None where the file names none that there is."""
        return self.suffixes.get(self.framework)


def _context(info: ValidationInfo) -> Context:
    assert isinstance(info.context, Context)
    return info.context


def _for_framework(value: Any, info: ValidationInfo) -> Any:
    return value.get(_context(info).framework) if isinstance(value, Mapping) else value


def _place(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or "://" in value:
        return value
    path = Path(os.path.abspath(_context(info).folder / Path(value).expanduser()))
    if path.exists():
        return str(path)
    if Path(value).is_absolute():
        return value  # what a stage makes is not there yet
    if is_source_of_files(value) and not value.isidentifier():
        raise ValueError(f"there is no {path}")
    return value


def _recipe(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    path = Path(os.path.abspath(_context(info).folder / Path(value).expanduser()))
    if not path.is_file():
        raise ValueError(f"there is no {path}")
    suffix = _context(info).suffix
    if suffix and path.suffix != suffix:
        raise ValueError(f"recipes of {_context(info).framework} end in {suffix}, and {path.name} does not")
    return path


def _verifier(value: Any, info: ValidationInfo) -> Any:
    """`file.py:function` of the file's own folder; Ray's workers stand in another."""
    file, separator, function = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    path = Path(os.path.abspath(_context(info).folder / Path(file).expanduser()))
    return f"{path}:{function}" if separator and file.endswith(".py") and path.is_file() else value


def _words(value: Any) -> Any:
    """A text as the shell takes it, or a list of words as they are."""
    if isinstance(value, str):
        return shlex.split(value)
    return [_text(word) for word in value] if isinstance(value, list) else value


def _text(value: Any) -> Any:
    """A number as it is written; YAML's `true` and `null` as the frameworks write them."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if isinstance(value, int | float) else value


def _framework(value: Any, info: ValidationInfo) -> Any:
    known = _context(info).suffixes
    if value not in known:
        meant = closest(str(value), known)
        hint = f"did you mean {meant}?" if meant else f"choose of {', '.join(known)}"
        raise ValueError(f"there is no framework {value}: {hint}")
    _context(info).framework = value
    return value


Place = Annotated[str, BeforeValidator(_place), BeforeValidator(_for_framework)]
MaybePlace = Annotated[str | None, BeforeValidator(_place), BeforeValidator(_for_framework)]
Recipe = Annotated[Path, BeforeValidator(_recipe), BeforeValidator(_for_framework)]
MaybeRecipe = Annotated[Path | None, BeforeValidator(_recipe), BeforeValidator(_for_framework)]
Words = Annotated[list[str], BeforeValidator(_words), BeforeValidator(_for_framework)]
Environment = dict[str, Annotated[str, BeforeValidator(_text)]]
Value = str | int | float | bool
Options = dict[str, Value | list[Value]]
"""Of a command of `threadweaver`, by their names without dashes; a list gives an option several times."""


class Section(BaseModel):
    """A part of the file; a name that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class StageSection(Section):
    """A stage.

    Attributes:
        skip: leaves it out as if it did not stand there.
        environment: variables of its commands, in the place of the file's own.
    """

    skip: bool = False
    environment: Environment = {}


class Hardware(Section):
    """What it runs on.

    Attributes:
        device: `cpu` runs everything without an accelerator.
        gpu: for `threadweaver plan`.
        gpus, nodes: those that training takes; the recipes' own when not given.
        side_by_side: what does not need each other runs at once; or the stages of which that is so.
    """

    device: Literal["cpu", "cuda"] = "cuda"
    gpu: str = "h100"
    gpus: int | None = Field(default=None, ge=1)
    nodes: int | None = Field(default=None, ge=1)
    side_by_side: bool | list[StageName] = False


class Commands(StageSection):
    """Any commands, one after the other, that write the data."""

    commands: list[str] = Field(min_length=1)


class AddTokens(StageSection):
    """`threadweaver data add-tokens`."""

    options: Options = {}


class Stage1(StageSection):
    """`threadweaver data stage1`: sequential traces, rewritten by a model behind an endpoint."""

    data: Place
    options: Options


class Training(StageSection):
    """A framework's own training command.

    Attributes:
        recipe: a file of `recipes/` or of your own.
        data: files, folders or names of the hub.
        steps: updates. verl makes so many; OpenRLHF's follow from data and epochs, there it is for the bar.
        settings: put behind all else, as the framework takes them.
    """

    recipe: Recipe
    steps: int | None = Field(default=None, ge=1)
    settings: Words = []


class SFT(Training):
    """`baseline`: data of the sequential baseline, which starts from an SFT of its own then."""

    data: MaybePlace = None
    baseline: MaybePlace = None


class Selftrain(Training):
    """`threadweaver data selftrain`, and SFT on what it keeps.

    Attributes:
        take: so many of the kept samples, no fewer; all of them when not given.
        rows: samples that will be drawn, for the progress bar.
    """

    data: Place
    options: Options = {}
    take: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=1)


class RL(Training):
    """P-GRPO.

    Attributes:
        validation: data that the framework validates on meanwhile.
        p_grpo: settings that its baseline does not have.
        baseline: recipe of the sequential baseline; none is trained when not given.
    """

    data: Place
    validation: MaybePlace = None
    p_grpo: Words = []
    baseline: MaybeRecipe = None


class Evaluation(StageSection):
    """`threadweaver eval run` of each model in both modes.

    Attributes:
        data: problems of the report; `more` are evaluated too, and joined in `table.md`.
        clock: so many problems are timed, `threadweaver eval clock`; 0 reads no clock.
        rows: records of each model on `data`, for the progress bar.
    """

    data: Place
    more: list[Place] = []
    options: Options = {}
    clock: int = Field(default=0, ge=0)
    rows: int | None = Field(default=None, ge=1)


class Asked(Section):
    """A whole file.

    Attributes:
        model: folder or name of the hub.
        chat_template: a file, or `chatml`, written into the model by `add-tokens`.
        environment: variables of every command.
        stall_minutes: without a sign of progress, after which a command counts as hung; never when not given.
    """

    framework: Annotated[str, BeforeValidator(_framework)]
    model: Place
    chat_template: MaybePlace = None
    seed: int = Field(default=0, ge=0)
    verifier: Annotated[str, BeforeValidator(_verifier)] = MATH
    hardware: Hardware = Hardware()
    environment: Environment = {}
    stall_minutes: float | None = Field(default=None, gt=0)
    data: Commands | None = None
    add_tokens: AddTokens | None = Field(default=None, alias="add-tokens")
    stage1: Stage1 | None = None
    sft: SFT | None = None
    selftrain: Selftrain | None = None
    rl: RL | None = None
    eval: Evaluation | None = None

    @model_validator(mode="after")
    def _fits(self) -> Asked:
        if not any(map(self.has, STAGES)):
            raise ValueError(f"it has no stage: add some of {', '.join(STAGES)}")
        if self.has("sft") and self.sft and self.sft.data is None and not self.has("stage1"):
            raise ValueError("sft has no data: give sft.data, or traces to stage1")
        if self.chat_template and not self.has("add-tokens"):
            raise ValueError("chat_template is written by add-tokens: add that stage")
        return self

    def has(self, stage: str) -> bool:
        """Whether a stage is to be run."""
        section = self.section(stage)
        return section is not None and not section.skip

    def section(self, stage: str) -> StageSection | None:
        """What the file says of a stage."""
        return cast("StageSection | None", getattr(self, stage.replace("-", "_")))

    def side_by_side(self, stage: str) -> bool:
        """Whether what does not need each other runs at once there."""
        asked = self.hardware.side_by_side
        return asked if isinstance(asked, bool) else stage in asked

    def with_settings(self, more: Mapping[str, Sequence[str]]) -> Asked:
        """The same with further settings of its training stages, by their names."""
        sections = {name: getattr(self, name) for name in more if getattr(self, name)}
        return self.model_copy(
            update={
                name: section.model_copy(update={"settings": [*section.settings, *more[name]]})
                for name, section in sections.items()
            }
        )
