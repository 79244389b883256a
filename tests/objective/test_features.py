from __future__ import annotations

import pytest
import torch

from tether.objective import feature_distance, nmse


def hidden(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_equals_a_plain_loop_over_valid_tokens() -> None:
    s, t = hidden(0, 3, 4, 5), hidden(1, 3, 4, 5)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]).bool()
    rows = [(i, j) for i in range(3) for j in range(4) if mask[i, j]]
    mean = [sum(t[i, j, d].item() for i, j in rows) / len(rows) for d in range(5)]
    top = sum((s[i, j, d] - t[i, j, d]).item() ** 2 for i, j in rows for d in range(5))
    bottom = sum((t[i, j, d].item() - mean[d]) ** 2 for i, j in rows for d in range(5))
    assert nmse(s, t, mask).item() == pytest.approx(top / (bottom + 1e-6), rel=1e-5)


def test_padding_does_not_change_it() -> None:
    s, t, mask = hidden(0, 2, 3, 4), hidden(1, 2, 3, 4), torch.ones(2, 3).bool()
    pad = torch.full((2, 2, 4), 1e3)
    longer = torch.cat([mask, torch.zeros(2, 2).bool()], 1)
    got = nmse(torch.cat([s, pad], 1), torch.cat([t, -pad], 1), longer)
    torch.testing.assert_close(got, nmse(s, t, mask))


def test_duplicating_the_batch_does_not_change_it() -> None:
    s, t = hidden(0, 4, 6, 3, 3), hidden(1, 4, 6, 3, 3)
    torch.testing.assert_close(nmse(torch.cat([s, s]), torch.cat([t, t])), nmse(s, t))


def test_scaling_both_models_does_not_change_it() -> None:
    s, t = hidden(0, 4, 5, 6), hidden(1, 4, 5, 6)
    torch.testing.assert_close(nmse(10 * s, 10 * t), nmse(s, t), rtol=1e-5, atol=0)


def test_unrelated_features_of_equal_power_give_about_two() -> None:
    assert nmse(hidden(0, 500, 4, 8), hidden(1, 500, 4, 8)).item() == pytest.approx(2.0, abs=0.1)


def test_equal_features_give_zero_with_finite_gradient() -> None:
    t = hidden(0, 4, 5, 6)
    s = t.clone().requires_grad_()
    loss = feature_distance({0: s}, {0: t})
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(s.grad, torch.zeros_like(s))


def test_a_layer_that_does_not_vary_is_skipped() -> None:
    s = hidden(0, 2, 3, 4).requires_grad_()
    loss = nmse(s, torch.ones(2, 3, 4))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(s.grad).all()


def test_layers_are_averaged() -> None:
    a, b, t = hidden(0, 4, 5, 6), hidden(2, 4, 5, 6), hidden(1, 4, 5, 6)
    got = feature_distance({0: a, 3: b}, {0: t, 3: t})
    torch.testing.assert_close(got, (nmse(a, t) + nmse(b, t)) / 2)
