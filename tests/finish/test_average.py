"""EMA and SWA against plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tether.errors import RequestError
from tether.finish.average import ema, swa


def walk(averaging, total=40, per_epoch=8, cut=None):
    """Move a parameter along a fixed path; returns the path and the averaged parameter."""
    g = torch.Generator().manual_seed(0)
    path = torch.randn(total, 3, generator=g)
    parameter = nn.Parameter(torch.zeros(3))
    running = averaging.begin({"w": parameter})
    for i in range(total):
        parameter.data.copy_(path[i])
        running.update(i + 1, total, per_epoch)
        if i == cut:
            state = {k: v.clone() for k, v in running.state().items()}
            running = averaging.begin({"w": parameter})
            running.load(state)
    running.apply()
    return path, parameter.detach()


def test_ema_is_the_corrected_exponential_mean() -> None:
    path, got = walk(ema(0.9))
    weight = torch.tensor([0.1 * 0.9**k for k in range(39, -1, -1)], dtype=torch.float64)
    expected = (weight[:, None] * path.double()).sum(0) / weight.sum()
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-6)


def test_after_one_step_the_average_is_that_step() -> None:
    path, got = walk(ema(0.999), total=1)
    torch.testing.assert_close(got, path[0])


def test_swa_is_the_mean_of_the_last_epoch_ends() -> None:
    path, got = walk(swa(0.5))  # epochs end after 8, 16, 24, 32, 40; the last half begins after 20
    torch.testing.assert_close(got, (path[23] + path[31] + path[39]) / 3)
    path, got = walk(swa(0.01))
    torch.testing.assert_close(got, path[39])
    assert swa(0.5).tail == 0.5
    assert ema().tail == 0.0


@pytest.mark.parametrize("averaging", [ema(0.8), swa(0.7)])
@pytest.mark.parametrize("cut", [5, 30])
def test_a_resumed_average_is_the_same(averaging, cut) -> None:
    assert torch.equal(walk(averaging)[1], walk(averaging, cut=cut)[1])


def test_senseless_settings_are_refused() -> None:
    for make in (lambda: ema(1.0), lambda: ema(-0.1), lambda: swa(0.0), lambda: swa(1.5)):
        with pytest.raises(RequestError, match="expected"):
            make()
