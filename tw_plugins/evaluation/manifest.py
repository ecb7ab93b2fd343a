"""What an evaluation was made of: `manifest.json` in its folder, from which it can be repeated.

asked     what `threadweaver eval run` was asked for
made_of   hashes of the model's files, of the data, of the prompts as token ids, and the like
runs      each run that decoded into the folder: its command, seed, versions and machine
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from tw_plugins.engines.choice import Replicas, Server, Servers, Where
from tw_plugins.errors import UserError
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.evaluation.provenance import Machine, command, versions
from tw_plugins.evaluation.resume import ResumeError
from tw_plugins.evaluation.settings import EvalSettings
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import is_there, read_text
from tw_plugins.verifiers.names import shown

__all__ = [
    "MANIFEST",
    "Asked",
    "Manifest",
    "ManifestError",
    "changed_files",
    "check_and_note",
    "made_of",
    "read_asked",
    "read_manifest",
]

MANIFEST = "manifest.json"
MODEL_FILES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")
Manifest = dict[str, Any]


class ManifestError(UserError, ValueError):
    """A folder that has no manifest, or one that cannot be followed."""


@dataclass(frozen=True)
class Asked:
    """What an evaluation was asked for; the fields are those of `evaluation.run.evaluate_model`.

    Attributes:
        where: None is vLLM in the process.
    """

    model: str
    data: str
    modes: tuple[Mode, ...]
    limit: int | None
    settings: EvalSettings
    where: Where | None

    def as_json(self) -> Manifest:
        """Without passwords that an address may hold."""
        settings = {**asdict(self.settings), "verifier": shown(self.settings.verifier)}
        engines: Manifest | None = None
        if isinstance(self.where, Replicas):
            engines = {"replicas": asdict(self.where)}
        elif self.where is not None:
            engines = {
                "servers": [{**asdict(one), "base_url": shown(one.base_url)} for one in self.where.all]
            }
        return {
            "model": self.model,
            "data": self.data,
            "modes": list(self.modes),
            "limit": self.limit,
            "settings": {**settings, "engine_args": dict(self.settings.engine_args)},
            "engines": engines,
        }


def made_of(
    model: str, data: str, problems: Iterable[EvalProblem], chat_template: str | None
) -> dict[str, Any]:
    """Hashes (SHA-256) of all that decides what is decoded and how it is graded.

    Args:
        chat_template: as the prompts were written with it.
    """
    asked = list(problems)
    return {
        "model": _model(model),
        "data": {path.name: _of_file(path) for path in _files_of(data)},
        "prompts": _of([(problem.index, problem.prompt_ids) for problem in asked]),
        "references": _of([(problem.index, problem.reference) for problem in asked]),
        "chat_template": _of(chat_template),
    }


def check_and_note(
    out: Path, asked: Asked, made: Mapping[str, Any], seed: int, there: int, decodes: bool
) -> None:
    """Writes into the manifest that a run begins, before it decodes; one that does not is only checked.

    Args:
        seed: of the engine.
        there: samples that the folder has already.

    Raises:
        ResumeError: it has some, and they are another model's.
    """
    before = read_manifest(out) if is_there(out / MANIFEST) else None
    if before is not None and there:
        for name in ("model", "chat_template"):  # problems are compared one by one, see `missing`
            if (was := before["made_of"].get(name)) != made[name]:
                raise ResumeError(
                    f"{out} holds samples of {_another(name, was, made[name])}. Give another --out."
                )
    if not decodes:
        return
    run = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        "seed": seed,
        "samples_before": there,
        "versions": versions(),
        "machine": _machine(),
    }
    runs = [*(before["runs"] if before and there else ()), run]
    manifest = {"asked": asked.as_json(), "made_of": dict(made), "runs": runs}
    write_text(out / MANIFEST, json.dumps(manifest, indent=2, default=str) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """
    Raises:
        ManifestError: it has none, or something else under that name.
    """
    path = folder / MANIFEST
    if not is_there(path):
        raise ManifestError(
            f"{folder} has no {MANIFEST}: give the --out of `threadweaver eval run`; evaluations of earlier "
            "versions have none, make them again"
        )
    try:
        manifest = json.loads(read_text(path))
        if all(isinstance(manifest[name], kind) for name, kind in _SHAPE.items()):
            return dict(manifest)
    except (ValueError, KeyError, TypeError):
        pass
    raise ManifestError(f"{path} is not what `threadweaver eval run` writes: make the evaluation again")


_SHAPE: Mapping[str, type] = {"asked": dict, "made_of": dict, "runs": list}


def read_asked(folder: Path) -> Asked:
    """What the evaluation in a folder was asked for.

    Raises:
        ManifestError: as `read_manifest`, or it has settings that this version does not know.
    """
    asked = read_manifest(folder)["asked"]
    try:
        given = asked["settings"]
        if unknown := given.keys() - {field.name for field in fields(EvalSettings)}:
            raise KeyError(", ".join(sorted(unknown)))
        modes = tuple(mode for mode in get_args(Mode) if mode in asked["modes"])
        settings, where = EvalSettings(**given), _where(asked["engines"])
        return Asked(asked["model"], asked["data"], modes, asked["limit"], settings, where)
    except (KeyError, TypeError) as error:
        raise ManifestError(
            f"{folder / MANIFEST} has what this version does not know: {error.args[0]}. Give the version "
            "that made it, which the file names, this command, or make the evaluation again"
        ) from error


def _where(engines: Mapping[str, Any] | None) -> Where | None:
    if engines is None:
        return None
    if "replicas" in engines:
        return Replicas(**engines["replicas"])
    return Servers(tuple(Server(**one) for one in engines["servers"]))


def _another(name: str, was: Any, now: Any) -> str:
    """``another model (config.json, model.safetensors)``"""
    files = changed_files(was, now)
    return f"another {name.replace('_', ' ')}{f' ({files})' if files else ''}"


def changed_files(was: Any, now: Any) -> str:
    """Names of the files whose hashes differ; "" where the two are no hashes of files."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        return ""
    names = sorted(one for one in {*was, *now} if was.get(one) != now.get(one))
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"


def _model(model: str) -> dict[str, str]:
    """Hash of each file of a folder; the hub's commit of a name."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        files = (one for one in folder.iterdir() if one.suffix in MODEL_FILES and one.is_file())
        return {one.name: _of_file(one) for one in sorted(files)}
    from transformers import AutoConfig

    return {"commit": str(getattr(AutoConfig.from_pretrained(model), "_commit_hash", None))}


def _files_of(data: str) -> Sequence[Path]:
    """Of a set of the hub none: the prompts and references tell what it held."""
    path = Path(data).expanduser()
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    return [path] if path.is_file() else []


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of(what: object) -> str:
    return hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()


def _machine() -> dict[str, Any]:
    import torch

    found = asdict(Machine.here(on_gpu=torch.cuda.is_available()))
    return {name: found[name] for name in ("cpu", "cores", "threads", "memory_gib", "gpu")}
