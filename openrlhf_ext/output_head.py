"""The Actor's log-probs and entropy from its output head in chunks, instead of the logits of whole rows.

Seam: `Actor.__init__`, `Actor.forward`, and what the latter calls: `unpad_and_slice_tensor`,
`log_probs_from_logits` and `compute_entropy` (`openrlhf/models/actor.py`).
Inside the head's own forward, where ZeRO-3 has its weights, what upstream would compute of the logits is
computed from the hidden states, and stands in the logits' place as one column or two; upstream's two
functions read it from there. Upstream divides "logits" by the temperature in between, which is undone.
Of an output whose log-probs or entropy were asked for, ``logits`` is None: nothing upstream reads it then.
Works around `models/actor.py:267` (OpenRLHF 0.11.2), which keeps float32 logits of the whole batch, 24 GB and
their gradient at 40,000 tokens of a Qwen3; can go once upstream has chunks of its own. `--tw.logits_chunk 0`
leaves upstream as it is.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from openrlhf_ext.settings import Common
from tw_plugins.adapter.logprobs import token_log_probs
from tw_plugins.errors import UserError

logger = logging.getLogger(__name__)

LOGITS_ARE_CHANGED = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Fields of the configs whose models do something to the logits after the head: Gemma 2, Cohere, Granite."""


class OutputHeadError(UserError, RuntimeError):
    """A model that changes its logits after the head, unknown to this module."""


@dataclass
class Asked:
    """One forward of an Actor.

    Attributes:
        labels: (B, N), or (1, ΣN) of packed rows once they are unpadded.
        columns: (B, N, 1 or 2), log-prob and the entropy if asked for, once the head has been reached.
    """

    temperature: float
    chunk: int
    entropy: bool
    labels: Tensor | None
    columns: Tensor | None = None

    def column(self, logits: Tensor, place: int) -> Tensor:
        """
        Raises:
            OutputHeadError: the model has made something else of what the head returned.
        """
        assert self.columns is not None
        # DeepSpeed returns another tensor object of the same memory.
        if logits.shape != self.columns.shape or logits.data_ptr() != self.columns.data_ptr():
            raise OutputHeadError(
                "this model changes its logits after the output head: set --tw.logits_chunk 0, which keeps "
                "the logits of whole rows in memory"
            )
        return logits[..., place] * self.temperature


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


def answer_in_chunks(model: Any) -> bool:
    """Teach a model's output head; False where it is none that this can be done for."""
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear or any(
        getattr(model.config, name, None) is not None for name in LOGITS_ARE_CHANGED
    ):
        return False
    forward = head.forward

    @wraps(forward)
    def columns(hidden: Tensor) -> Tensor:
        asked = _asked.get()
        if asked is None or asked.labels is None:
            logits: Tensor = forward(hidden)
            return logits
        log_probs, entropies = token_log_probs(
            hidden, head.weight, asked.labels, asked.chunk, head.bias, asked.temperature, asked.entropy
        )
        found = [log_probs] if entropies is None else [log_probs, entropies]
        asked.columns = torch.stack(found, -1).float()
        return asked.columns

    head.forward = columns  # type: ignore[method-assign, assignment]
    return True


def register(actor: Any) -> None:
    """Called once `openrlhf.models.actor` is imported."""
    actor.Actor.__init__ = _with_head(actor.Actor.__init__)
    actor.Actor.forward = _asking(actor.Actor.forward)
    actor.unpad_and_slice_tensor = _with_labels(actor.unpad_and_slice_tensor)
    actor.log_probs_from_logits = _from_column(0, actor.log_probs_from_logits)
    actor.compute_entropy = _from_column(1, actor.compute_entropy)


def _with_head(init: Any) -> Any:
    @wraps(init)
    def with_head(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        chunk = Common.shared().logits_chunk
        self.logits_chunk = chunk if chunk and answer_in_chunks(self.model) else 0
        if chunk and not self.logits_chunk:
            logger.warning(
                "%s keeps the logits of whole rows: its output head is another than --tw.logits_chunk knows",
                type(self.model).__name__,
            )

    return with_head


def _asking(forward: Any) -> Any:
    @wraps(forward)
    def asking(self: Any, sequences: Tensor, action_mask: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not self.logits_chunk or (action_mask is None and not kwargs.get("return_logprobs")):
            return forward(self, sequences, action_mask, *args, **kwargs)
        labels = None if self.packing_samples else torch.roll(sequences, shifts=-1, dims=1)
        entropy = bool(kwargs.get("return_entropy"))
        token = _asked.set(Asked(self.temperature, self.logits_chunk, entropy, labels))
        try:
            found = forward(self, sequences, action_mask, *args, **kwargs)
        finally:
            _asked.reset(token)
        if isinstance(found, tuple):
            found[1]["logits"] = None
        return found

    return asking


def _with_labels(unpad: Any) -> Any:
    @wraps(unpad)
    def with_labels(*args: Any, **kwargs: Any) -> Any:
        found = unpad(*args, **kwargs)
        if asked := _asked.get():
            asked.labels = found[2]
        return found

    return with_labels


def _from_column(place: int, upstreams: Any) -> Any:
    @wraps(upstreams)
    def from_column(logits: Tensor, *args: Any, **kwargs: Any) -> Any:
        asked = _asked.get()
        if asked is None or asked.columns is None:
            return upstreams(logits, *args, **kwargs)
        return asked.column(logits, place)

    return from_column
