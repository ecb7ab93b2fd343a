"""A YAML file with `variables`: what it holds, and in which line each part of it stands.

    variables: {max_tokens: 512}
    eval:
      options: {max-tokens: "${max_tokens}"}

`${name}` stands for a variable wherever a text is, also inside one; `${run}` for the run's folder, and
`$${name}` for `${name}` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.settings import closest
from tw_plugins.storage.files import read_text

__all__ = ["Source", "read_source"]

VARIABLES = "variables"
_REFERENCE = re.compile(r"(\$?)\$\{(\w+)\}")
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """A file as it was read.

    Attributes:
        data: without its variables, each of which stands where it is used.
        lines: of each part, from 1, by its keys and numbers from the top.
        variables: by name, as they were used.
    """

    path: Path
    data: dict[str, Any]
    lines: Mapping[Place, int]
    variables: Mapping[str, Any]

    def where(self, place: Sequence[str | int]) -> str:
        """`file:line` of a part; of one that is not there, of what it would stand in."""
        known = (place[:length] for length in range(len(place), -1, -1))
        return f"{self.path}:{next(self.lines[tuple(one)] for one in known if tuple(one) in self.lines)}"


def read_source(path: Path, given: Mapping[str, str], run: Path) -> Source:
    """
    Args:
        given: values for the file's variables, in YAML, in the place of its own.
        run: what `${run}` stands for.

    Raises:
        OSError, FileError: there is no file, or no text in it.
        PipelineError: it is no YAML, no mapping, or names a variable that it does not have.
    """
    text = read_text(path)
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise PipelineError(f"{path}:1: it must hold settings, as in `framework: verl`")
        _refuse_twice(root, path)
        variables = _variables(root, given, path)
        root.value = [(key, value) for key, value in root.value if key.value != VARIABLES]
        _fill(root, {**{name: node.value for name, node in variables.items()}, "run": str(run)}, path)
        lines = dict(_lines(root, ()))
        data = loader.construct_document(root)
        values = {name: loader.construct_object(node) for name, node in variables.items()}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PipelineError(f"{path}:{line}: this is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise PipelineError(f"{path}:1: this is no YAML: {str(error).splitlines()[0]}") from error
    finally:
        if loader:
            loader.dispose()
    return Source(path, data, {**lines, (): 1}, values)


def _variables(root: Any, given: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The file's variables as nodes, those of `given` in their place.

    Raises:
        PipelineError: they are no names and values, or one of `given` is none of them.
    """
    section = next((value for key, value in root.value if key.value == VARIABLES), None)
    pairs = section.value if isinstance(section, yaml.MappingNode) else []
    if section is not None and not all(isinstance(value, yaml.ScalarNode) for _, value in pairs):
        raise PipelineError(f"{path}:{_line(section)}: variables are names, each with one value")
    if section is not None and not isinstance(section, yaml.MappingNode):
        raise PipelineError(f"{path}:{_line(section)}: variables are names, each with one value")
    found = {str(key.value): value for key, value in pairs}
    for name, text in given.items():
        if name not in found:
            raise PipelineError(f"{path} has no variable {name}{_meant(name, found)}")
        found[name] = _scalar(text, found[name])
    return found


def _fill(node: Any, values: Mapping[str, str], path: Path) -> None:
    """Put the variables where they are named, below a node."""
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _fill(value, values, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _fill(value, values, path)
    elif isinstance(node, yaml.ScalarNode) and "${" in node.value:

        def value_of(found: re.Match[str]) -> str:
            escaped, name = found.groups()
            if escaped:
                return f"${{{name}}}"
            if name not in values:
                raise PipelineError(
                    f"{path}:{_line(node)}: there is no variable {name}{_meant(name, values)}; "
                    f"write $${{{name}}} where the framework is to see it"
                )
            return values[name]

        whole = _REFERENCE.fullmatch(node.value)
        node.value = _REFERENCE.sub(value_of, node.value)
        if whole:
            node.tag = _scalar(node.value, node).tag  # a number where the variable is one


def _scalar(text: str, like: Any) -> Any:
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    return yaml.ScalarNode(tag, text, like.start_mark, like.end_mark)


def _lines(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), _line(key)
            yield from _lines(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), _line(value)
            yield from _lines(value, (*place, number))


def _refuse_twice(node: Any, path: Path) -> None:
    """YAML would take the last of two equal keys, in silence."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[Any, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise PipelineError(f"{path}:{_line(key)}: a name must be a text")
            if key.value in seen and key.value != "<<":
                raise PipelineError(
                    f"{path}:{_line(key)}: {key.value} stands in line {seen[key.value]} already: remove one"
                )
            seen[key.value] = _line(key)
            _refuse_twice(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(value, path)


def _meant(name: str, known: Mapping[str, Any]) -> str:
    meant = closest(name, known)
    return f" (did you mean {meant}?)" if meant else f"; it has {', '.join(known) or 'none'}"


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
