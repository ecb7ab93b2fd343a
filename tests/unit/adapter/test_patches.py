"""Every file that changes what is upstream's says what it works around, and when it can go."""

from __future__ import annotations

import ast
import re

import pytest

from tests.contract_matrix import ROOT

PATCHES = (
    *(
        f"openrlhf_ext/{name}.py"
        for name in ("actor", "engine_args", "fp32", "metrics", "preflight", "watch", "whole_steps")
    ),
    "openrlhf_ext/ray_start.py",
    *(
        f"openrlhf_ext/cpu/{name}.py"
        for name in ("build_lock", "flash_attn", "mesh", "torch_cuda", "weight_group")
    ),
    *(f"verl_ext/cpu/{name}.py" for name in ("engine", "platform", "vllm_worker", "weight_socket")),
    "verl_ext/device.py",
    "verl_ext/dumps.py",
)


@pytest.mark.parametrize("path", PATCHES)
def test_a_patch_says_when_it_can_go(path: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / path).read_text())) or ""
    assert re.search(r"\.py:\d+", text), f"{path} names no line of upstream's"
    assert re.search(r"(verl|OpenRLHF)\s0\.\d+\.\d+", text), f"{path} names no version of upstream's"
    assert re.search(r"\bcan\s+go\b", text, re.IGNORECASE), f"{path} does not say when it can go"
