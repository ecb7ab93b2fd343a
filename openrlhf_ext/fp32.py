"""`--tw.fp32`: float32 parameters, for small models on the CPU and for tests of exactness.

Seam: `convert_to_torch_dtype` (`openrlhf/utils/utils.py`), which knows bf16 and fp16. DeepSpeed trains in
float32 when neither is enabled.
Works around `openrlhf/utils/utils.py:17-24` (OpenRLHF 0.11.2), which raises for any other name; can go once
`--ds.param_dtype` takes fp32.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch

FP32 = "fp32"


def register(utils: Any) -> None:
    """Called once `openrlhf.utils.utils` is imported."""
    convert = utils.convert_to_torch_dtype

    @wraps(convert)
    def convert_to_torch_dtype(param_dtype: str) -> torch.dtype:
        return torch.float32 if param_dtype == FP32 else convert(param_dtype)

    utils.convert_to_torch_dtype = convert_to_torch_dtype
