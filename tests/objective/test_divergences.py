from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tether.objective import cross_entropy, distillation, kl


def softmax(z: list[float], t: float) -> list[float]:
    top = max(z)
    e = [math.exp((v - top) / t) for v in z]
    return [v / sum(e) for v in e]


def loop_kl(p: list[float], q: list[float]) -> float:
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True) if a > 0)


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(5, 4, generator=g) * 2, torch.randn(5, 4, generator=g) * 2


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_equals_a_plain_loop(pair: tuple[Tensor, Tensor], temperature: float) -> None:
    s, t = pair
    for direction in ("forward", "reverse", "js"):
        got = distillation(s, t, temperature, direction)
        for i in range(5):
            p, q = softmax(t[i].tolist(), temperature), softmax(s[i].tolist(), temperature)
            m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
            want = {
                "forward": loop_kl(p, q),
                "reverse": loop_kl(q, p),
                "js": (loop_kl(p, m) + loop_kl(q, m)) / 2,
            }[direction]
            assert got[i].item() == pytest.approx(temperature**2 * want, rel=1e-5, abs=1e-7)


def test_equal_logits_give_zero_with_zero_finite_gradient(pair: tuple[Tensor, Tensor]) -> None:
    s = pair[0].clone().requires_grad_()
    loss = distillation(s, pair[0], 2.0).sum()
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert torch.isfinite(s.grad).all()
    assert s.grad.abs().max() < 1e-6


def test_is_never_negative(pair: tuple[Tensor, Tensor]) -> None:
    for direction in ("forward", "reverse", "js"):
        assert (distillation(*pair, 2.0, direction) >= -1e-6).all()


def test_the_teacher_gets_no_gradient(pair: tuple[Tensor, Tensor]) -> None:
    s, t = pair[0].clone().requires_grad_(), pair[1].clone().requires_grad_()
    distillation(s, t).sum().backward()
    assert t.grad is None
    assert s.grad is not None


def test_gradient_at_high_temperature_is_the_centred_logit_difference(pair: tuple[Tensor, Tensor]) -> None:
    s, t = pair[0].double().requires_grad_(), pair[1].double()
    distillation(s, t, 1e3).sum().backward()
    want = ((s - s.mean(-1, keepdim=True)) - (t - t.mean(-1, keepdim=True))) / 4
    # fp32 log-softmax at T = 1000 leaves about 1e-7 * T of rounding.
    torch.testing.assert_close(s.grad, want.detach(), rtol=1e-2, atol=1e-3)


def test_t_squared_keeps_the_gradient_norm_for_small_logits() -> None:
    g = torch.Generator().manual_seed(1)
    s0, t = torch.randn(8, 5, generator=g) * 0.1, torch.randn(8, 5, generator=g) * 0.1
    norms = []
    for temperature in (4.0, 16.0):
        s = s0.clone().requires_grad_()
        distillation(s, t, temperature).sum().backward()
        norms.append(s.grad.norm().item())
    assert 0.5 < norms[0] / norms[1] < 2.0


def test_kl_of_a_zero_probability_is_finite() -> None:
    log_p = torch.tensor([[0.0, -math.inf]])
    assert kl(log_p, torch.log(torch.tensor([[0.5, 0.5]]))).item() == pytest.approx(math.log(2))


def test_an_ignored_label_gives_zero_cross_entropy_and_keeps_its_row() -> None:
    z = torch.randn(3, 4)
    ce = cross_entropy(z, torch.tensor([1, -100, 2]))
    assert ce.shape == (3,)
    assert ce[1] == 0
    assert ce[0].item() == pytest.approx(-math.log(softmax(z[0].tolist(), 1.0)[1]), rel=1e-5)


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        distillation(torch.zeros(1, 2), torch.zeros(1, 2), 0.0)
