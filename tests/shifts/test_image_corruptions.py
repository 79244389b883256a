"""Each image corruption against a second road: plain loops, scipy, colorsys, Pillow."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from tether.batch import Batch
from tether.shifts import SEVERITIES, Draws, get
from tether.shifts.image.blur import disk
from tether.shifts.image.box import box_resize
from tether.shifts.image.tables import DEFOCUS_BLUR, GAUSSIAN_NOISE, PIXELATE


def shifted(name: str, x: torch.Tensor, severity: int) -> torch.Tensor:
    ids = torch.arange(len(x))
    out = get(name)(Batch(x, torch.zeros_like(ids), ids), severity, Draws(0)).x
    assert isinstance(out, torch.Tensor)
    return out


def to_pillow(x: torch.Tensor) -> Image.Image:
    return Image.fromarray((x * 255).round().byte().permute(1, 2, 0).numpy())


def from_pillow(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize(
    ("side", "first"), [(16, 0.04), (32, 0.04), (45, 0.04), (64, 0.04), (119, 0.04), (120, 0.08)]
)
def test_row_of_the_table_by_shorter_side(side, first):
    assert GAUSSIAN_NOISE.at(torch.zeros(1, 3, side, 300), 1) == first
    # 45 px is nearer to 32 in the logarithm, 46 to 64: sqrt(32 * 64) = 45.25.
    assert GAUSSIAN_NOISE.at(torch.zeros(1, 3, 300, 45), 5) == 0.10
    assert GAUSSIAN_NOISE.at(torch.zeros(1, 3, 300, 46), 5) == 0.18


@pytest.mark.parametrize(
    ("name", "std"),
    [("gaussian_noise", 0.08), ("shot_noise", (0.5 / 100) ** 0.5), ("speckle_noise", 0.5 * 0.12)],
)
def test_noise_has_the_stated_mean_and_spread(name, std):
    delta = shifted(name, torch.full((32, 3, 32, 32), 0.5), 3).double() - 0.5
    n = delta.numel()
    assert abs(delta.mean()) < 4 * std / n**0.5
    assert abs(delta.std() / std - 1) < 4 / (2 * n) ** 0.5 * 1.1


def test_impulse_noise_is_salt_and_pepper_in_equal_parts():
    out = shifted("impulse_noise", torch.full((32, 3, 32, 32), 0.5), 5)
    n, part = out.numel(), 0.07 / 2
    for value in (0.0, 1.0):
        assert abs((out == value).sum() / n - part) < 4 * (part / n) ** 0.5
    assert ((out == 0) | (out == 1) | (out == 0.5)).all()


@pytest.mark.parametrize(("size", "radius", "sigma"), [(64, 3.0, 0.1), (64, 0.5, 0.6), (32, 1.0, 0.2)])
def test_defocus_is_convolution_with_a_softened_disk(size, radius, sigma, images):
    severity = {(64, 3.0): 5, (64, 0.5): 1, (32, 1.0): 4}[size, radius]
    x = torch.nn.functional.interpolate(images.x[:1], size=size, mode="bilinear")
    reach = int(radius) + 1
    at = range(-reach, reach + 1)
    sharp = np.array([[float(i * i + j * j <= radius * radius) for j in at] for i in at])
    soft = np.array([np.exp(-(k * k) / (2 * sigma**2)) for k in (-1, 0, 1)])
    kernel = ndimage.convolve(sharp / sharp.sum(), np.outer(soft, soft) / soft.sum() ** 2, mode="constant")
    want = np.stack([ndimage.convolve(c, kernel, mode="mirror") for c in x[0].double().numpy()])
    np.testing.assert_allclose(shifted("defocus_blur", x, severity)[0].numpy(), want, atol=2e-6)


@pytest.mark.parametrize(
    ("radius", "sigma", "side"), [(3, 0.1, 9), (8, 0.5, 19), (10, 0.5, 25), (0.3, 0.4, 3)]
)
def test_disk_sums_to_one_and_is_symmetric(radius, sigma, side):
    k = disk(radius, sigma)
    assert k.shape == (side, side)
    assert k.sum().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(k, k.T)
    torch.testing.assert_close(k, k.flip(0))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("size", [(224, 224), (130, 187)])
def test_wide_disks_convolve_too(size, severity, images):
    """At 224 px the kernels reach 25 px and go through Fourier transforms: scipy's convolution with them."""
    x = torch.nn.functional.interpolate(images.x[:1], size=size, mode="bilinear")
    kernel = disk(*DEFOCUS_BLUR.at(x, severity)).double().numpy()
    want = np.stack([ndimage.convolve(c, kernel, mode="mirror") for c in x[0].double().numpy()])
    np.testing.assert_allclose(shifted("defocus_blur", x, severity)[0].numpy(), want, atol=2e-6)


def test_no_weight_is_too_small_for_a_float():
    """Denormal numbers make a convolution twenty times slower."""
    for radius, sigma in ((3, 0.1), (1, 0.1), (2.5, 0.01)):
        weights = disk(radius, sigma)
        assert weights[weights > 0].min() > 1e-30


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_blur_is_scipys(severity, images):
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    got = shifted("gaussian_blur", images.x[:2], severity)
    want = ndimage.gaussian_filter(
        images.x[:2].double().numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=4
    )
    np.testing.assert_allclose(got.numpy(), want, atol=2e-6)


def colour_cases() -> torch.Tensor:
    """An 8 x 8 picture of colours, greys, black and white."""
    g = torch.Generator().manual_seed(1)
    x = torch.rand(3, 8, 8, generator=g)
    x[:, 0] = torch.linspace(0, 1, 8)
    x[:, 1, :3] = torch.eye(3)
    return x[None]


def by_colorsys(x: torch.Tensor, change) -> torch.Tensor:
    out = torch.empty_like(x)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            out[:, i, j] = torch.tensor(
                colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*x[:, i, j].tolist())))
            )
    return out


@pytest.mark.parametrize(("severity", "add"), zip(SEVERITIES, (0.05, 0.1, 0.15, 0.2, 0.3), strict=True))
def test_brightness_adds_to_v(severity, add):
    x = colour_cases()
    want = by_colorsys(x[0], lambda h, s, v: (h, s, min(v + add, 1.0)))
    torch.testing.assert_close(shifted("brightness", x, severity)[0], want, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("severity", "factor", "offset"), [(1, 0.3, 0), (2, 0.1, 0), (3, 1.5, 0), (4, 2, 0.1), (5, 2.5, 0.2)]
)
def test_saturate_scales_s(severity, factor, offset):
    x = colour_cases()
    want = by_colorsys(x[0], lambda h, s, v: (h, min(max(s * factor + offset, 0.0), 1.0), v))
    torch.testing.assert_close(shifted("saturate", x, severity)[0], want, atol=1e-5, rtol=0)


def test_contrast_keeps_the_channel_mean_and_scales_the_spread(images):
    x = images.x[:4]
    out = shifted("contrast", x, 5).double()  # factor .15 at 32 px; nothing reaches the ends, no clipping
    torch.testing.assert_close(out.mean((2, 3)), x.double().mean((2, 3)), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.std((2, 3)), 0.15 * x.double().std((2, 3)), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (33, 57), (224, 130)])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate_is_pillows_box_filter_twice(size, severity, images):
    x = torch.nn.functional.interpolate(images.x[:1], size=size, mode="bilinear")
    x = (x * 255).round() / 255
    image, f = to_pillow(x[0]), PIXELATE.at(x, severity)
    small = image.resize((int(size[1] * f), int(size[0] * f)), Image.Resampling.BOX)
    want = from_pillow(small.resize((size[1], size[0]), Image.Resampling.BOX))
    # Pillow rounds to bytes after each of its two passes: half a level each.
    torch.testing.assert_close(shifted("pixelate", x, severity)[0], want, atol=1.01 / 255, rtol=0)


def test_box_filter_of_a_row_matches_pillow_at_every_size():
    """Pillow's own arithmetic on a float row, where no byte is rounded; smaller and larger."""
    g = np.random.default_rng(0)
    for size in range(8, 40, 3):
        row = g.random((1, size), dtype=np.float32)
        for target in range(1, 60):
            want = np.array(Image.fromarray(row).resize((target, 1), Image.Resampling.BOX))[0]
            got = box_resize(torch.from_numpy(row), target, dim=1)[0].numpy()
            np.testing.assert_allclose(got, want, atol=1e-6)
