"""Templates: a page escapes what goes into it, a prompt does not, and both miss what they are not given."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from tw_plugins.storage.templates import template

PROMPTS, PAGES = "tw_plugins.data.stage1", "tw_plugins.pages"


def test_a_prompt_has_the_text_as_it_is() -> None:
    shown = template(PROMPTS, "prompts/structure.j2", escape=False).render(problem="a < b & c", lines="1: x")
    assert "a < b & c" in shown and not shown.endswith("\n")


def test_a_page_escapes_it() -> None:
    render = template(PROMPTS, "prompts/structure.j2", escape=True).render
    assert "a &lt; b &amp; c" in render(problem="a < b & c", lines="1: x")


def test_a_variable_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        template(PROMPTS, "prompts/structure.j2", escape=False).render()
    with pytest.raises(UndefinedError):
        template(PAGES, "page.html.j2", escape=True).render()
