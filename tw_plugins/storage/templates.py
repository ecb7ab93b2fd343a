"""The package's own texts with blanks in them: pages and prompts, as Jinja templates."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["template"]


@lru_cache
def template(package: str, name: str, escape: bool) -> Template:
    """The template of this name; a variable that it is not given is an error.

    Args:
        package: whose folder it is in.
        name: path of its file in there.
        escape: text that goes into it is escaped, as HTML needs it and a prompt does not.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
