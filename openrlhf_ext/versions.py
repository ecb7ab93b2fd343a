"""The versions that the seams of openrlhf_ext were checked against."""

from __future__ import annotations

from tw_plugins.adapter.versions import Supported

SUPPORTED = Supported(
    "openrlhf_ext",
    {
        "openrlhf": "~=0.11.2",
        "transformers": ">=5.0,<5.16",
        "torch": ">=2.9",
        "deepspeed": ">=0.18.9",
        "ray": ">=2.48",
        "vllm": ">=0.20",
    },
)
