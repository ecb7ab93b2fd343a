"""The flags of OpenRLHF's commands, of recipes and as upstream parses them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from openrlhf_ext.settings import RLSettings
from tests.support.root import ROOT

RECIPES = ROOT / "recipes" / "openrlhf"


def namespace(module: str, *arguments: str) -> Any:
    """The flags of one of upstream's commands, parsed by upstream itself, as `get_strategy` gets them."""
    import runpy

    import openrlhf.utils as utils

    class Parsed(Exception):
        pass

    def stop(args: Any) -> None:
        raise Parsed(args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(utils, "get_strategy", stop)
        patched.setattr(sys, "argv", [module, *arguments])
        patched.setattr("ray.is_initialized", lambda: True)
        with pytest.raises(Parsed) as found:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    return found.value.args[0]


def flags_of(script: str) -> list[str]:
    """The flags in a recipe's array."""
    text = (RECIPES / script).read_text()
    body = text.split("ARGS=(", 1)[1].split("\n)", 1)[0]
    import shlex

    return shlex.split(body, comments=True)


def upstreams(flags: list[str]) -> list[str]:
    from openrlhf_ext.arguments import with_estimator

    _, theirs = RLSettings.parser().parse_known_args(flags)
    return with_estimator(theirs)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What openrlhf_ext has logged: the check of `--tw.vllm_args` may import vLLM first, which logs too."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("openrlhf_ext")]
