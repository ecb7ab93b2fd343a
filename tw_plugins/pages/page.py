"""One HTML file: no server, no network, and nothing that a model wrote is ever read as HTML or script.

Data stand in a JSON block whose every ``<`` is escaped, so that no text can end it; the page's script puts
them into text nodes only. A Content-Security-Policy allows the page's own style and script, by hash, and
nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.templates import template

__all__ = ["embedded", "policy", "write_page"]


def write_page(name: str, target: Path, styles: Sequence[str], scripts: Sequence[str], **shown: Any) -> None:
    """Writes a page, whole or not at all.

    Args:
        name: of the template.
        styles, scripts: files of this package that the page holds, one after the other.
        **shown: what the template is given; ``data``, which the scripts read, if there, is embedded as JSON.
    """
    from markupsafe import Markup

    style, script = ("".join(map(_source, sources)) for sources in (styles, scripts))
    shown["data"] = Markup(embedded(shown["data"])) if "data" in shown else ""
    page = template("tw_plugins.pages", name, escape=True).render(
        style=Markup(style), script=Markup(script), policy=policy(style, script), **shown
    )
    write_text(target, page)


def embedded(data: Any) -> str:
    """JSON that can stand in a script element: ASCII, without ``<`` and ``>``."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy of a page with this style and script and nothing else."""
    allowed = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _source(name: str) -> str:
    return files("tw_plugins.pages").joinpath(name).read_text(encoding="utf-8")
