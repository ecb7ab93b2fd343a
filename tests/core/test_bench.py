"""What the benchmark times is what it says: the same tokens trained on both sides, the same gradient."""

from __future__ import annotations

import torch

from tw_plugins.bench import Shape, _model, _update, bench_update, synthetic_rollout
from tw_plugins.trie import row_from_rollout, rows_from_rollout

SMALL = Shape(tokens=120, blocks=2, threads=3)


def test_both_sides_give_the_same_gradient() -> None:
    rollout = synthetic_rollout(SMALL)
    model, gradients = _model(), []
    for rows in ([row_from_rollout(rollout)], rows_from_rollout(rollout)):
        _update(model, rows, trained=100)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.linalg.norm(gradients[0] - gradients[1]) <= 1e-5 * torch.linalg.norm(gradients[1])


def test_shape_is_the_one_asked_for() -> None:
    rollout = synthetic_rollout(Shape(tokens=1000, blocks=4, threads=3))
    sampled = sum(len(call.completion.token_ids) for call in rollout.calls)
    assert abs(sampled - 1000) <= 1000 * 0.02
    assert len(rollout.calls) == 4 * 3 + 5
    assert sum(row_from_rollout(rollout).loss_mask) == sampled


def test_figures_are_of_the_two_layouts() -> None:
    times = bench_update(SMALL, repeats=1)
    assert times.rows_tokens > times.trie_tokens > times.tokens
    assert times.ratio == times.rows_s / times.trie_s
