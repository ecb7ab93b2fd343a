"""What a model's own code takes for activations, without its weights and without a GPU.

The stock model runs forward and backward on fake tensors (`torch._subclasses.fake_tensor`), which have shapes
and no memory, while every storage that comes and goes is counted. So any architecture, any length and
gradient checkpointing are counted as they are, in a second on a laptop. Attention counts as flash attention,
which keeps what FlexAttention keeps.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tw_plugins.adapter.logprobs import token_log_probs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Activations", "activations", "peak_of_step", "training_step", "with_layers"]

MASKLESS = "threadweaver_plan"
DEPTHS = 1, 2  # layers of the two models that are run; more layers take as much each


@dataclass(frozen=True)
class Activations:
    """Bytes at the peak of forward and backward, beyond weights and gradients.

    Attributes:
        kept: what each layer keeps until its backward pass; with checkpointing its input.
        passing: the rest: one layer recomputed, gradients on their way, logits.
    """

    kept: int
    passing: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.kept + self.passing


def activations(
    config: Any, tokens: int, dtype: torch.dtype, checkpointing: bool, chunk: int | None
) -> Activations:
    """
    Args:
        config: a `transformers` config, of the whole model.
        tokens: that go through the model at once.
        chunk: tokens whose logits are in memory at once; None: all.
    """
    given = _Config(config)
    one, two = (_peak_of_layers(given, n, tokens, dtype, checkpointing, chunk) for n in DEPTHS)
    each = two - one
    return Activations(each * config.num_hidden_layers, max(one - each, 0))


@lru_cache(maxsize=64)  # remedies change one thing of a job
def _peak_of_layers(given: _Config, layers: int, *rest: Any) -> int:
    return peak_of_step(with_layers(given.config, layers), *rest)


class _Config:
    """One that is equal to another of the same content."""

    def __init__(self, config: Any) -> None:
        self.config, self._content = config, config.to_json_string(use_diff=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Config) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


def with_layers(config: Any, layers: int) -> Any:
    """The same model with fewer layers or more."""
    return type(config)(**{**config.to_dict(), "num_hidden_layers": layers, "layer_types": None})


def peak_of_step(config: Any, tokens: int, dtype: torch.dtype, checkpointing: bool, chunk: int | None) -> int:
    """Bytes at the peak, of a model of `config.num_hidden_layers` layers."""
    with FakeTensorMode():
        step, model = training_step(config, tokens, dtype, checkpointing, chunk)
        with _Storages(model) as storages:
            step()
    return storages.peak


def training_step(
    config: Any,
    tokens: int,
    dtype: torch.dtype,
    checkpointing: bool,
    chunk: int | None,
    device: str = "cpu",
) -> tuple[Callable[[], None], torch.nn.Module]:
    """Forward and backward of the mean log-prob of so many tokens, and the model.

    Real, outside of a fake mode. A weight's gradient goes as soon as it is there, as it does where it is
    reduced and sharded.
    """
    from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM

    AttentionInterface.register(MASKLESS, _causal)
    AttentionMaskInterface.register(MASKLESS, lambda *_, **__: None)
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=MASKLESS)
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    for weight in model.parameters():
        weight.register_post_accumulate_grad_hook(_drop_gradient)
    ids = torch.zeros(1, tokens, dtype=torch.long, device=device)

    def step() -> None:
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        head = model.get_output_embeddings()
        token_log_probs(hidden, head.weight, ids, chunk or tokens, head.bias)[0].mean().backward()

    return step, model


def _causal(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: None, **_: Any
) -> tuple[torch.Tensor, None]:
    """(B, h, N, d) each, key and value of fewer heads; keeps what FlexAttention keeps, nothing of N²."""
    found = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    return found.transpose(1, 2).contiguous(), None


def _drop_gradient(weight: torch.Tensor) -> None:
    weight.grad = None


class _Storages(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, but for those of a model."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive = {weight.untyped_storage()._cdata: 0 for weight in model.parameters()}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            self.now += self._alive[key]
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self.now -= self._alive.pop(key)
