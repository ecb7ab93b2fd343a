"""The kernels of segment attention: what they refuse, what the CPU's one gives, what CUDA's one takes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from tw_plugins.attention import UnsupportedAttention
from tw_plugins.attention.kernels import Cuts, cpu, cuda, kernel_of


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (torch.zeros(4, 2, 64), "takes bfloat16 and float16, not float32: use flex_attention or sdpa"),
        (torch.zeros(4, 2, 20, dtype=torch.bfloat16), "takes heads of up to 256 in steps of 8, not of 20"),
        (torch.zeros(4, 2, 512, dtype=torch.float16), "takes heads of up to 256 in steps of 8, not of 512"),
    ],
)
def test_what_cudas_kernel_does_not_take_is_refused(query: torch.Tensor, reason: str) -> None:
    with pytest.raises(UnsupportedAttention, match=reason):
        cuda.check(query)
    cuda.check(torch.zeros(4, 2, 64, dtype=torch.bfloat16))


def test_a_device_without_a_kernel_is_refused() -> None:
    with pytest.raises(UnsupportedAttention, match="runs on cpu and cuda, not on meta"):
        kernel_of(torch.zeros(1, 1, 8, device="meta"))


def test_cudas_kernel_still_takes_what_it_is_given() -> None:
    """The seam of that module; torch has the schemas without CUDA too."""
    forward = torch.ops.aten._flash_attention_forward.default._schema
    names = [argument.name for argument in forward.arguments]
    assert names[:10] == [
        *("query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k"),
        *("dropout_p", "is_causal", "return_debug_mask"),
    ]
    assert "scale" in names and [result.name for result in forward.returns][:2] == [
        "output",
        "softmax_logsumexp",
    ]
    backward = torch.ops.aten._flash_attention_backward.default._schema
    names = [argument.name for argument in backward.arguments]
    assert names[:14] == [
        *(
            "grad_out",
            "query",
            "key",
            "value",
            "out",
            "logsumexp",
            "cum_seq_q",
            "cum_seq_k",
            "max_q",
            "max_k",
        ),
        *("dropout_p", "is_causal", "rng_state", "unused"),
    ]
    assert "scale" in names and len(backward.returns) == 3


def test_cudas_kernel_is_called_as_its_schemas_have_it() -> None:
    """On tensors without data: shapes and types only."""
    query, key = (torch.zeros(9, heads, 64, dtype=torch.bfloat16, device="meta") for heads in (4, 2))
    own, prefix = Cuts((0, 4, 9), query.device), Cuts((0, 2, 5), query.device)
    for keys, tokens in ((own, 9), (prefix, 5)):
        out, lse = cuda.forward(query, key[:tokens], key[:tokens], own, keys, 0.5)
        assert (out.shape, lse.shape) == (query.shape, (4, 9))
        grads = cuda.backward(out, query, key[:tokens], key[:tokens], out, lse, own, keys, 0.5)
        assert [grad.shape[0] for grad in grads] == [9, tokens, tokens]


def test_sequences_do_not_see_each_other_and_keys_may_be_others() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 9, 2, 8, generator=generator, dtype=torch.float64)
    here = torch.device("cpu")
    for queries, keys in (((0, 4, 9), (0, 4, 9)), ((0, 4, 9), (0, 2, 5))):
        cuts = Cuts(queries, here)
        same = queries == keys
        out, lse = cpu.forward(query, key, value, cuts, cuts if same else Cuts(keys, here), 0.5)
        for (q0, q1), (k0, k1) in zip(pairwise(queries), pairwise(keys), strict=True):
            scores = torch.einsum("qhd,khd->hqk", query[q0:q1], key[k0:k1]) * 0.5
            if same:
                scores = scores.masked_fill(torch.ones(q1 - q0, k1 - k0).triu(1).bool(), -torch.inf)
            torch.testing.assert_close(lse[:, q0:q1], scores.logsumexp(-1))
            want = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value[k0:k1])
            torch.testing.assert_close(out[q0:q1], want)
