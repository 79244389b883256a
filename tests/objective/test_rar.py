from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tether.errors import RequestError
from tether.objective import rar
from tether.objective.rar import correlations, pooled


def rows(seed: int, n: int = 40, d: int = 6) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def explicit(student: torch.Tensor, teacher: torch.Tensor) -> float:
    """1 - trace(C)/d of the whole d x d cross-correlation matrix, by numpy in double precision."""
    a, b = teacher.double().numpy(), student.double().numpy()
    d = a.shape[1]
    c = np.corrcoef(a.T, b.T)[:d, d:]
    return 1 - np.trace(c) / d


def test_equals_the_trace_of_an_explicit_correlation_matrix() -> None:
    t = rows(0)
    s = 0.7 * t + 0.5 * rows(1)
    assert rar(s, t).item() == pytest.approx(explicit(s, t), rel=1e-5)


def test_identical_inputs_give_zero_with_zero_gradient() -> None:
    t = rows(0)
    s = t.clone().requires_grad_()
    loss = rar(s, t)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert s.grad.abs().max() < 1e-6


def test_opposite_features_give_two_and_a_constant_student_one() -> None:
    t = rows(0)
    assert rar(-t, t).item() == pytest.approx(2.0, abs=1e-5)
    assert rar(torch.zeros_like(t), t).item() == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.1, 10.0), shift=st.floats(-5.0, 5.0), feature=st.integers(0, 5))
def test_ignores_a_positive_scale_and_a_shift_of_a_feature(scale: float, shift: float, feature: int) -> None:
    t = rows(0)
    s = 0.6 * t + 0.6 * rows(1)
    moved = s.clone()
    moved[:, feature] = moved[:, feature] * scale + shift
    # fp32 statistics of a shifted column lose about shift/std digits.
    assert rar(moved, t).item() == pytest.approx(rar(s, t).item(), abs=1e-4)


def test_a_constant_student_feature_has_a_finite_gradient() -> None:
    t = rows(0)
    s = rows(1)
    s[:, 2] = 3.0
    s.requires_grad_()
    rar(s, t).backward()
    assert torch.isfinite(s.grad).all()
    # the floor bounds it by ||a|| / (||a|| f) = 1 / f
    floor = (len(t) * 1e-5 * t.var(0, unbiased=False).mean()).sqrt()
    assert s.grad[:, 2].norm() <= 1.01 / (floor * t.shape[1])


def test_dead_teacher_features_are_left_out() -> None:
    t = rows(0)
    t[:, 0] = 1.0
    s = t + 0.3 * rows(1)
    _, alive = correlations(s, t)
    assert alive.tolist() == [False, True, True, True, True, True]
    assert rar(s, t).item() == pytest.approx(explicit(s[:, 1:], t[:, 1:]), rel=1e-4)


def test_an_all_constant_teacher_gives_zero_attached_to_the_graph_and_warns() -> None:
    s = rows(1).requires_grad_()
    with pytest.warns(UserWarning, match="all constant"):
        loss = rar(s, torch.ones_like(s))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(s.grad, torch.zeros_like(s))


def test_fewer_than_sixteen_rows_are_refused_with_what_to_do() -> None:
    with pytest.raises(RequestError, match=r"at least 16 rows, got 15.*batch_size"):
        rar(rows(0, 15), rows(1, 15))


def test_power_two_is_the_mean_square() -> None:
    t = rows(0)
    s = 0.7 * t + 0.5 * rows(1)
    r, _ = correlations(s, t)
    assert rar(s, t, power=2).item() == pytest.approx(((1 - r) ** 2).mean().item(), rel=1e-6)


def test_it_is_not_additive_over_micro_batches() -> None:
    t = rows(0)
    s = 0.7 * t + 0.5 * rows(1)
    halves = (rar(s[:20], t[:20]) + rar(s[20:], t[20:])) / 2
    assert abs(halves.item() - rar(s, t).item()) > 1e-4


def test_pooling_averages_valid_positions_only() -> None:
    h = torch.arange(12.0).reshape(1, 4, 3)
    mask = torch.tensor([[True, True, False, False]])
    torch.testing.assert_close(pooled(h, mask), (h[:, 0] + h[:, 1]) / 2)
    torch.testing.assert_close(pooled(torch.ones(2, 3, 4, 4), None), torch.ones(2, 3))
