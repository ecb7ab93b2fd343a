"""Which attention computes trie rows rightly here, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tw_plugins.adapter.check import Check, first_line
from tw_plugins.errors import UserError

if TYPE_CHECKING:
    import torch

    from tw_plugins.attention.self_check import Heads

__all__ = ["DTYPES", "NoSuchDevice", "attention_checks", "thorough_checks"]

DTYPES = ("bfloat16", "float16", "float32")
QUICK = 301  # tokens
LENGTHS = (512, 601, 127)  # a multiple of the kernels' blocks, none, and less than one


class NoSuchDevice(UserError, RuntimeError):
    """What was asked for is not here."""


def attention_checks() -> Iterator[Check]:
    """On what training would take: SDPA must be right, the others are a choice."""
    try:
        import torch
        import transformers  # noqa: F401, what is checked are its implementations
    except ImportError:
        return
    yield from _on("cuda" if torch.cuda.is_available() else "cpu", (QUICK,))


def thorough_checks(device: str, dtype: str | None = None, model: str | None = None) -> Iterator[Check]:
    """Every implementation on rows of several lengths, as a run's self-check has them, with times.

    Args:
        device: as torch names it: ``cpu``, ``cuda``, ``cuda:1``.
        dtype: of `DTYPES`; the usual one of the device when not given.
        model: folder or name of the model whose heads are checked; Qwen3-0.6B's when not given.

    Raises:
        NoSuchDevice: the device is not here, or torch.
    """
    try:
        import torch
        from transformers import AutoConfig
    except ImportError as error:
        raise NoSuchDevice(f"attention cannot be checked without {error.name}: make setup") from error
    from tw_plugins.attention.self_check import Heads

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise NoSuchDevice(f"there is no device {device} here: {first_line(error)}") from error
    heads = Heads.of(AutoConfig.from_pretrained(model)) if model else None
    yield from _on(device, LENGTHS, dtype, heads)


def _on(
    device: str, lengths: tuple[int, ...], dtype: str | None = None, heads: Heads | None = None
) -> Iterator[Check]:
    """A check of each implementation; see `thorough_checks` for what stands in the place of None."""
    import torch

    from tw_plugins.attention.self_check import Heads

    kind = torch.device(device).type
    wanted = getattr(torch, dtype or ("float32" if kind == "cpu" else "bfloat16"))
    for attention in _looked_at(kind):
        yield _check(attention, lengths, heads or Heads(16, 8, 128), wanted, device)


def _looked_at(kind: str) -> tuple[str, ...]:
    from tw_plugins.attention.mask import usable_attention

    # torch has no backward of FlexAttention on the CPU; eager is what the others are for
    others = {"eager"} if kind == "cuda" else {"eager", "flex_attention"}
    return tuple(name for name in usable_attention(kind) if name not in others)


def _check(attention: str, lengths: tuple[int, ...], heads: Heads, dtype: torch.dtype, device: str) -> Check:
    from tw_plugins.attention.self_check import deviation, positions_of

    otherwise: Any = "fail" if attention == "sdpa" else "note"
    advice = "reinstall torch" if attention == "sdpa" else "train with attn_implementation=sdpa"
    name, several = f"{attention} on {device}", len(lengths) > 1
    if several:
        name += f", {str(dtype).removeprefix('torch.')}, {heads}"
    found = {}
    try:
        for length in lengths:
            found[length] = deviation(attention, positions_of(length), heads, dtype, device)
        again = deviation(attention, positions_of(lengths[0]), heads, dtype, device) if several else None
    except Exception as error:  # whatever an attention kernel can answer is a finding
        return Check("attention", name, otherwise, f"not usable here ({first_line(error)}): {advice}")
    length, worst = max(found.items(), key=lambda one: (not one[1].within(dtype), one[1].gradient))
    of = f" of {length} tokens" if several else ""
    off = f"outputs{of} off by {worst.out:.0e}, gradients by {worst.gradient:.0e}"
    if not worst.within(dtype):
        return Check("attention", name, otherwise, f"computes rows with branches wrongly ({off}): {advice}")
    took = f"{found[lengths[0]].seconds:.2f} s" + (f", again {again.seconds:.3f} s" if again else "")
    return Check("attention", name, "ok", f"as one row per request: {off}, {took}")
