"""Scanners, stains, haze and bands: what each promises, read back from its output."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from tether.errors import RequestError
from tether.shifts import SEVERITIES, Draws, check_roles, get, role_of
from tether.shifts.image.styles.medical import smooth_field
from tether.shifts.image.styles.satellite import haze, move_bands
from tether.shifts.image.styles.stain import (
    HAEMATOXYLIN_EOSIN,
    from_density,
    restain,
    stain_basis,
    to_density,
)


def flat(images, *rgb: float):
    return replace(images, x=torch.tensor(rgb).view(1, 3, 1, 1).expand(64, 3, 32, 32).contiguous())


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gamma_is_uniform_in_its_range(severity, images):
    out = get("gamma")(flat(images, 0.2, 0.5, 0.8), severity, Draws(0)).x[:, :, 0, 0].double()
    power = out.log() / torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64).log()  # (64, 3)
    torch.testing.assert_close(power, power[:, :1].expand(64, 3), atol=1e-5, rtol=0)
    full = 1 + (power[:, 0] - 1) * 5 / severity
    assert stats.kstest(full.numpy(), stats.uniform(0.7, 0.8).cdf).pvalue > 1e-3
    for end in (0.0, 1.0):  # black and white stay, so no severity is mere brightness
        assert torch.equal(
            get("gamma")(flat(images, end, end, end), severity, Draws(0)).x.unique(), torch.tensor([end])
        )


@pytest.mark.parametrize(("severity", "largest"), zip(SEVERITIES, (0.15, 0.3, 0.45, 0.6, 0.75), strict=True))
def test_bias_field_is_a_smooth_gain(severity, largest, images):
    out = get("bias_field")(flat(images, 0.2, 0.3, 0.4), severity, Draws(0)).x
    gain = (out / torch.tensor([0.2, 0.3, 0.4]).view(1, 3, 1, 1)).log().double()
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain), atol=1e-5, rtol=0)  # one for all channels
    field = gain[:, 0].flatten(1)
    torch.testing.assert_close(field.abs().amax(1), torch.full((64,), largest).double(), atol=1e-4, rtol=0)
    assert field.mean(1).abs().max() < 1e-5
    at = np.linspace(-1, 1, 32)
    basis = [np.outer(at**j, at**i).ravel() for i in range(4) for j in range(4) if i + j <= 3]
    design = np.stack(basis, 1)
    fit = design @ np.linalg.lstsq(design, field.T.numpy(), rcond=None)[0]
    np.testing.assert_allclose(fit, field.T.numpy(), atol=1e-4)  # nothing but a cubic


def test_smooth_field_by_hand():
    coefficients = torch.zeros(1, 9)
    coefficients[0, 3] = 2.0  # x^1 y^0: a ramp to the right
    ramp = torch.linspace(-1, 1, 8).expand(1, 1, 6, 8)
    torch.testing.assert_close(smooth_field(coefficients, 6, 8), ramp, atol=1e-6, rtol=0)


def test_densities_there_and_back(images):
    torch.testing.assert_close(from_density(to_density(images.x)), images.x, atol=1e-5, rtol=0)
    assert to_density(torch.ones(1)) == 0
    basis = stain_basis(HAEMATOXYLIN_EOSIN)
    unchanged = restain(images.x, basis, torch.ones(64, 2), torch.zeros(64, 2))
    torch.testing.assert_close(unchanged, images.x, atol=1e-5, rtol=0)


def test_restaining_is_deconvolution_pixel_by_pixel(images):
    x = images.x[:2, :, ::8, ::8]
    factor, offset = torch.tensor([[0.8, 1.3], [1.1, 0.5]]), torch.tensor([[0.1, -0.2], [0.0, 0.3]])
    got = restain(x, stain_basis(HAEMATOXYLIN_EOSIN), factor, offset).double().numpy()
    h, e = (np.array(v) / np.linalg.norm(v) for v in HAEMATOXYLIN_EOSIN)
    rest = np.cross(h, e) / np.linalg.norm(np.cross(h, e))
    for i in range(2):
        for v in range(4):
            for u in range(4):
                density = -np.log((x[i, :, v, u].double().numpy() * 255 + 1) / 256)
                a, b, c = np.linalg.solve(np.stack([h, e, rest], 1), density)
                a, b = (
                    factor[i, 0].item() * a + offset[i, 0].item(),
                    factor[i, 1].item() * b + offset[i, 1].item(),
                )
                want = (np.exp(-(a * h + b * e + c * rest)) * 256 - 1) / 255
                np.testing.assert_allclose(got[i, :, v, u], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("severity", "largest"), zip(SEVERITIES, (0.05, 0.1, 0.15, 0.2, 0.3), strict=True))
def test_stain_jitter_has_its_range_and_leaves_the_residual(severity, largest, images):
    """From two greys, solve for factor and offset of each sample; the third coordinate stays."""
    basis = torch.linalg.inv(stain_basis(HAEMATOXYLIN_EOSIN))
    shift = get("stain")
    amounts = []
    for grey in (0.15, 0.35):
        before = flat(images, grey, grey, grey)
        pair = (
            to_density(z.x[:, :, 0, 0].double()) @ basis for z in (before, shift(before, severity, Draws(0)))
        )
        amounts.append(tuple(pair))
    (low, low_after), (high, high_after) = amounts
    factor = (high_after - low_after) / (high - low)
    offset = low_after - factor * low
    torch.testing.assert_close(factor[:, 2], torch.ones(64).double(), atol=1e-3, rtol=0)
    for found, centre in ((factor[:, :2], 1.0), (offset[:, :2], 0.0)):
        away = (found - centre).abs()
        assert 0.85 * largest < away.max() <= largest + 1e-3
        assert (
            stats.kstest((found - centre).flatten().numpy(), stats.uniform(-largest, 2 * largest).cdf)[1]
            > 1e-3
        )


def test_stain_distance_grows_and_own_stains_count(images):
    distance = [(get("stain")(images, s, Draws(0)).x - images.x).abs().mean().item() for s in SEVERITIES]
    assert distance == sorted(distance)
    shift = get({"name": "stain", "stains": [[0.65, 0.70, 0.29], [0.27, 0.57, 0.78], [0.07, 0.99, 0.11]]})
    out = shift(images, 3, Draws(0)).x
    assert 0 <= out.min() <= out.max() <= 1
    assert not torch.allclose(out, get("stain")(images, 3, Draws(0)).x, atol=1e-3)
    torch.testing.assert_close(shift(images.take([5]), 3, Draws(0)).x[0], out[5], atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("stains", "message"),
    [
        ([[0.65, 0.70, 0.29]], "two or three optical densities"),
        ([[0.65, 0.70, 0.29], [0.1, -0.2, 0.3]], "none negative"),
        ([[0.65, 0.70, 0.29], [1.30, 1.40, 0.58]], "stains of different colours"),
        ([[0.65, 0.70], [0.1, 0.2]], r"shift\.stains"),
    ],
)
def test_stains_that_make_no_sense_are_refused(stains, message):
    with pytest.raises(RequestError, match=message):
        get({"name": "stain", "stains": stains})


@pytest.mark.parametrize(("severity", "thick"), zip(SEVERITIES, (0.25, 0.5, 0.8, 1.2, 1.7), strict=True))
def test_haze_obeys_its_model(severity, thick, images):
    """Black gives A (1 - t), white t + A (1 - t): their difference is the transmission."""
    shift = get("haze")
    black, white = (shift(flat(images, v, v, v), severity, Draws(0)).x for v in (0.0, 1.0))
    through = white - black
    torch.testing.assert_close(through, through[:, :1].expand_as(through), atol=1e-5, rtol=0)
    depth = -through[:, 0].log().flatten(1)
    torch.testing.assert_close(depth.amax(1), torch.full((64,), thick), atol=1e-4, rtol=0)
    torch.testing.assert_close(depth.amin(1), torch.full((64,), 0.3 * thick), atol=1e-4, rtol=0)
    assert (depth.view(64, 32, 32).diff(dim=2).abs().max() / thick) < 0.15  # smooth
    air = (black / (1 - through)).flatten(2)  # (64, 3, H * W), the same at all places
    assert (air.amax(2) - air.amin(2)).max() < 1e-3
    assert air.min() > 0.75 - 0.05
    assert air.max() < 0.95 + 0.05
    assert haze(white, torch.zeros(1, 1, 32, 32), torch.ones(1, 3, 1, 1)).equal(white)


def test_haze_is_fogs_kin_and_is_refused_beside_it():
    assert role_of(get("haze")) == "test"
    with pytest.raises(RequestError, match="'weather' is in train"):
        check_roles(["haze"], [], ["haze"])
    check_roles(["band_shift", "gamma", "stain"], [], ["haze"])


def test_bands_move_as_told(images):
    whole = torch.tensor([[[2.0, 0.0], [0.0, -3.0], [-1.0, 1.0]]]).expand(64, 3, 2)
    got = move_bands(images.x, whole)
    still = move_bands(images.x, torch.zeros(64, 3, 2))
    torch.testing.assert_close(still, images.x, atol=1e-5, rtol=0)
    for c, (dx, dy) in enumerate([(2, 0), (0, -3), (-1, 1)]):
        want = images.x[:, c].roll((-dy, -dx), dims=(1, 2))
        torch.testing.assert_close(got[:, c, 4:-4, 4:-4], want[:, 4:-4, 4:-4], atol=1e-5, rtol=0)


@pytest.mark.parametrize("severity", [1, 5])
def test_bands_part_without_moving_the_picture_or_its_light(severity, images):
    gain = get("band_shift")(flat(images, 0.5, 0.5, 0.5), severity, Draws(0)).x / 0.5
    torch.testing.assert_close(gain.mean(1), torch.ones(64, 32, 32), atol=1e-5, rtol=0)
    assert (gain - 1).abs().max() <= 2 * 0.04 * severity + 1e-4
    gain = gain[:, :, :1, :1]
    assert gain.std() > 0.01
    largest = {1: 0.005, 5: 0.03}[severity] * 32
    for axis in (2, 3):
        size = [1, 1, 1, 1]
        size[axis] = 32
        ramp = (0.2 + 0.5 * torch.arange(32.0) / 32).view(size).expand(64, 3, 32, 32).contiguous()
        moved = get("band_shift")(replace(images, x=ramp), severity, Draws(0)).x / gain
        pixels = ((moved - ramp) * 32 / 0.5)[:, :, 4:-4, 4:-4].mean((2, 3))  # (64, 3)
        assert pixels.mean(1).abs().max() < 1e-3
        assert 0.5 * largest < pixels.abs().max() <= 4 / 3 * largest + 1e-3
    assert math.isclose(largest, {1: 0.16, 5: 0.96}[severity])
