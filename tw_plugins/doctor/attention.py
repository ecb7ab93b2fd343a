"""Which attention computes trie rows rightly here, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator

from tw_plugins.adapter.check import Check, first_line

__all__ = ["attention_checks"]


def attention_checks() -> Iterator[Check]:
    """SDPA must; the others are a choice."""
    try:
        import torch
        import transformers  # noqa: F401, what is checked are its implementations
    except ImportError:
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    yield _check("sdpa", "fail", device)
    yield _check("trie", "note", device)
    if device == "cuda":  # torch has no backward of it on the CPU
        yield _check("flex_attention", "note", device)


def _check(attention: str, otherwise: str, device: str) -> Check:
    import torch

    from tw_plugins.attention.self_check import Heads, deviation, positions_of

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    advice = "train with attn_implementation=sdpa" if otherwise == "note" else "reinstall torch"
    name = f"{attention} on {device}"
    try:
        found = deviation(attention, positions_of(301), Heads(16, 8, 128), dtype, device)
    except Exception as error:  # whatever an attention kernel can answer is a finding
        return Check("attention", name, otherwise, f"not usable here ({first_line(error)}): {advice}")  # type: ignore[arg-type]
    off = f"outputs off by {found.out:.0e}, gradients by {found.gradient:.0e}"
    if not found.within(dtype):
        return Check("attention", name, otherwise, f"computes rows with branches wrongly ({off}): {advice}")  # type: ignore[arg-type]
    return Check("attention", name, "ok", f"as one row per request: {off}, {found.seconds:.2f} s")
