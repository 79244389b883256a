"""Motion blur and zoom blur against plain loops and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from tether.batch import Batch
from tether.shifts import SEVERITIES, Draws, get
from tether.shifts.image import tables
from tether.shifts.image.motion import half_gaussian, motion_blur
from tether.shifts.image.zoom import zoom_factors


def smeared(x: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """(C, H, W): every pixel's own sum over the whole line, nearest pixel beyond the border."""
    high, wide = x.shape[1:]
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * radius + 1)]
    out = np.zeros_like(x)
    for i, weight in enumerate(weights):
        dy = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        dx = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        for h in range(high):
            for w in range(wide):
                near = x[:, min(max(h + dy, 0), high - 1), min(max(w + dx, 0), wide - 1)]
                out[:, h, w] += weight / sum(weights) * near
    return out


def test_motion_blur_is_the_sum_along_each_images_line(images):
    angles = [-133.3, -61.0, -44.9, -10.0, 0.0, 17.0, 44.0]
    x = images.x[: len(angles), :, :11, :14]
    for radius, sigma in ((3, 2.0), (10, 3.0), (20, 15.0)):  # the last is longer than the picture
        got = motion_blur(x, radius, sigma, torch.tensor(angles))
        for b, angle in enumerate(angles):
            want = smeared(x[b].double().numpy(), radius, sigma, angle)
            np.testing.assert_allclose(got[b].numpy(), want, atol=2e-6)


def test_motion_blur_looks_one_way():
    x = torch.zeros(2, 1, 15, 15)
    x[:, :, 7, 7] = 1.0
    across, along = motion_blur(x, 2, 2.0, torch.tensor([0.0, 90.0]))[:, 0]
    weights = half_gaussian(2, 2.0)
    torch.testing.assert_close(across[7, 3:8], weights.flip(0))
    torch.testing.assert_close(along[3:8, 7], weights.flip(0))
    assert across.sum().item() == pytest.approx(1)
    assert (across > 0).sum() == 5


def test_the_tail_that_is_left_out_does_not_count():
    full = np.exp(-0.5 * (np.arange(21) / 1.0) ** 2)
    short = half_gaussian(10, 1.0)
    assert len(short) == 6
    np.testing.assert_allclose(short, (full / full.sum())[:6], atol=2**-23)
    assert len(half_gaussian(20, 15.0)) == 41
    assert half_gaussian(12, 12.0).sum().item() == pytest.approx(1, abs=1e-6)


def test_angles_are_between_minus_45_and_45_degrees():
    """Read off the pictures: a bright dot's trace lies to its left, no steeper than the diagonal."""
    ids = torch.arange(300)
    x = torch.zeros(300, 3, 41, 41)
    x[:, :, 20, 20] = 1.0
    out = get("motion_blur")(Batch(x, ids, ids), 5, Draws(0)).x[:, 0].double()
    at = torch.arange(41) - 20.0
    mean_x = (out * at).sum((1, 2)) / out.sum((1, 2))
    mean_y = (out * at[:, None]).sum((1, 2)) / out.sum((1, 2))
    angle = torch.rad2deg(torch.atan2(-mean_y, -mean_x))
    assert angle.abs().max() < 46
    assert angle.min() < -40
    assert angle.max() > 40
    assert abs(angle.mean()) < 4 * 26 / 300**0.5


@pytest.mark.parametrize("size", [224, 64, 32])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_factors_are_numpys_ranges(size, severity):
    bounds = {224: (1.11, 1.16, 1.21, 1.26, 1.31)}.get(size, (1.06, 1.11, 1.16, 1.21, 1.26))
    step = {224: (0.01, 0.01, 0.02, 0.02, 0.03)}.get(size, (0.01,) * 5)[severity - 1]
    want = np.arange(1, bounds[severity - 1], step)
    got = zoom_factors(*tables.ZOOM_BLUR.rows[size][severity - 1])
    assert got == want.tolist()


@pytest.mark.parametrize("shape", [(32, 32), (64, 50), (150, 131)])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_blur_is_scipys_zoom_of_the_middle(shape, severity, images):
    x = torch.nn.functional.interpolate(images.x[:1], size=shape, mode="bilinear")
    total = x[0].double().numpy().copy()
    factors = zoom_factors(*tables.ZOOM_BLUR.at(x, severity))
    for factor in factors:
        size = [math.ceil(n / factor) for n in shape]
        top, left = ((n - m) // 2 for n, m in zip(shape, size, strict=True))
        middle = x[0, :, top : top + size[0], left : left + size[1]].double().numpy()
        large = ndimage.zoom(middle, (1, factor, factor), order=1, mode="nearest")
        top, left = ((m - n) // 2 for n, m in zip(shape, large.shape[1:], strict=True))
        total += large[:, top : top + shape[0], left : left + shape[1]]
    got = get("zoom_blur")(Batch(x, torch.zeros(1), torch.zeros(1).long()), severity, Draws(0)).x
    np.testing.assert_allclose(got[0].numpy(), total / (len(factors) + 1), atol=2e-5)
