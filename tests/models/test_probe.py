from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from tether.models.heads import LinearHead, linear_head, random_head
from tether.models.probe import fit_probe, fit_temperature, nll


def blobs(n: int, seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = np.random.default_rng(9).normal(size=(classes, 5)) * 0.7
    return centres[y] + rng.normal(size=(n, 5)), y.astype(np.int64)


def test_the_chosen_strength_gives_the_optimum_of_its_own_objective() -> None:
    x, y = blobs(90, 0)
    v, vy = blobs(60, 1)
    probe = fit_probe(x, y, v, vy, classes=3)
    z = (x - x.mean(0)) / x.std(0)

    def objective(flat: np.ndarray) -> float:
        w, b = flat[:15].reshape(3, 5), flat[15:]
        loss = -log_softmax(z @ w.T + b, axis=1)[np.arange(90), y].mean()
        return loss + probe.strength / 2 * (w**2).sum()

    best = minimize(objective, np.zeros(18)).x
    weight = probe.head.weight.detach().numpy() * probe.temperature
    np.testing.assert_allclose(weight, best[:15].reshape(3, 5), atol=5e-3)


def test_the_head_on_raw_features_gives_the_reported_nll() -> None:
    x, y = blobs(90, 0)
    v, vy = blobs(60, 1)
    probe = fit_probe(x, y, v, vy, classes=3)
    with torch.no_grad():
        logits = probe.head(torch.tensor(v, dtype=torch.float32))
    got = torch.nn.functional.cross_entropy(logits, torch.tensor(vy)).item()
    assert got == pytest.approx(probe.nll, abs=1e-4)


def test_two_classes_open_into_two_rows() -> None:
    x, y = blobs(60, 0, classes=2)
    probe = fit_probe(x, y, x, y, classes=2)
    accuracy = (probe.head(torch.tensor(x, dtype=torch.float32)).argmax(1).numpy() == y).mean()
    assert probe.head.weight.shape == (2, 5)
    assert accuracy > 0.7


def test_temperature_recovers_a_known_scale() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 4)) * 2
    p = np.exp(log_softmax(logits, axis=1))
    y = np.array([rng.choice(4, p=row) for row in p])
    t = fit_temperature(logits * 3.0, y)
    assert t == pytest.approx(3.0, rel=0.1)
    assert nll(logits * 3.0 / t, y) < nll(logits * 3.0, y)


def test_a_constant_feature_does_not_break_it() -> None:
    x, y = blobs(60, 0)
    x[:, 0] = 2.0
    probe = fit_probe(x, y, x, y, classes=3)
    assert torch.isfinite(probe.head.weight).all()


def test_folded_head_is_the_same_map() -> None:
    head = random_head(5, 3, seed=0)
    with torch.no_grad():
        head.mean.copy_(torch.arange(5.0))
        head.std.copy_(torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5]))
    phi = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(linear_head(*head.folded())(phi), head(phi), rtol=1e-5, atol=1e-5)


def test_a_random_head_depends_on_its_seed_alone() -> None:
    torch.manual_seed(1)
    a = random_head(5, 3, seed=4)
    torch.manual_seed(2)
    b = random_head(5, 3, seed=4)
    assert torch.equal(a.weight, b.weight)
    assert not torch.equal(a.weight, random_head(5, 3, seed=5).weight)
    assert LinearHead(5, 3).weight.abs().sum() == 0
