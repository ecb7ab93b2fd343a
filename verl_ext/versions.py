"""The versions that the seams of verl_ext were checked against."""

from __future__ import annotations

from tw_plugins.adapter.versions import Supported

SUPPORTED = Supported(
    "verl_ext",
    {"verl": "~=0.9.1", "transformers": ">=5.0,<5.11", "torch": ">=2.9", "vllm": ">=0.20"},
    optional=frozenset({"vllm"}),  # SGLang rollouts, SFT only
)
