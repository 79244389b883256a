"""Colours and sketches against colorsys, scipy, published Lab values and closed forms."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts import SEVERITIES, Draws, check_roles, default_names, get
from tether.shifts.image.styles.colours import exchange, luma, quantise
from tether.shifts.image.styles.hsv import rotate_hue
from tether.shifts.image.styles.lab import to_lab, to_srgb
from tether.shifts.image.styles.sketch import pencil, slope

# CIE L*a*b* of sRGB's corners under D65, as colour references list them.
KNOWN = {
    (1, 1, 1): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (1, 0, 0): (53.24, 80.09, 67.20),
    (0, 1, 0): (87.73, -86.18, 83.18),
    (0, 0, 1): (32.30, 79.19, -107.86),
    (1, 1, 0): (97.14, -21.55, 94.48),
    (0, 1, 1): (91.11, -48.09, -14.13),
    (1, 0, 1): (60.32, 98.23, -60.82),
    (119 / 255, 119 / 255, 119 / 255): (50.03, 0.0, 0.0),
}


def pixel(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb).float().view(1, 3, 1, 1)


@pytest.mark.parametrize("rgb", KNOWN)
def test_lab_of_known_colours(rgb):
    torch.testing.assert_close(to_lab(pixel(*rgb)).flatten(), torch.tensor(KNOWN[rgb]), atol=0.02, rtol=0)


def test_lab_there_and_back(images):
    torch.testing.assert_close(to_srgb(to_lab(images.x)), images.x, atol=2e-5, rtol=0)
    out = to_srgb(torch.tensor([70.0, 120.0, -120.0]).view(1, 3, 1, 1))  # beyond any screen
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize("turn", [0.0, 0.1, 0.5, -0.3, 0.9])
def test_hue_is_that_of_colorsys(turn, images):
    x = images.x[:2, :, ::4, ::4].clone()
    x[0, :, 0, 0] = 0.4  # grey has no hue
    got = rotate_hue(x, torch.full((2,), turn))
    for i, pixels in enumerate(x.permute(0, 2, 3, 1).flatten(1, 2).tolist()):
        hsv = [colorsys.rgb_to_hsv(*p) for p in pixels]
        want = torch.tensor([colorsys.hsv_to_rgb((h + turn) % 1, s, v) for h, s, v in hsv])
        torch.testing.assert_close(got[i].flatten(1).T, want, atol=1e-5, rtol=0)


def test_hue_turns_at_least_half_the_range_both_ways(images):
    red = replace(images, x=torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(64, 3, 8, 8).contiguous())
    out = get("hue")(red, 3, Draws(0)).x[:, :, 0, 0]
    turns = torch.tensor([colorsys.rgb_to_hsv(*p)[0] for p in out.tolist()])
    turns = torch.where(turns > 0.5, turns - 1, turns)
    assert (turns.abs() >= 0.15 - 1e-4).all()
    assert (turns.abs() <= 0.3 + 1e-4).all()
    assert (turns > 0).any()
    assert (turns < 0).any()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_grayscale_is_its_formula(severity, images):
    got = get("grayscale")(images, severity, Draws(0)).x
    red, green, blue = images.x.unbind(1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    want = images.x * (1 - severity / 5) + grey[:, None] * (severity / 5)
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)


def test_grayscale_has_the_family_of_the_corruption_that_it_repeats():
    with pytest.raises(RequestError, match="'extra_colour' is in train"):
        check_roles(["grayscale"], default_names("val", "image"), [])
    check_roles(["hue", "channels", "sketch", "posterise"], default_names("val", "image"), [])


def test_channels_at_the_end_are_the_five_other_orders(images):
    out = get("channels")(images, 5, Draws(0)).x
    orders = [(1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0), (2, 0, 1)]
    found = [
        next(k for k, o in enumerate(orders) if torch.allclose(out[i], images.x[i, list(o)], atol=1e-5))
        for i in range(64)
    ]
    assert set(found) == set(range(5))


def test_channels_keep_brightness_and_colourfulness(images):
    """Before clipping, so on pictures of the middle."""
    x = 0.5 + (images.x - 0.5) * 0.2
    order = torch.tensor([[1, 2, 0]]).expand(64, 3)
    for weight in (0.2, 0.4, 0.6, 0.8, 1.0):
        out = exchange(x, order, weight)
        torch.testing.assert_close(out.mean(1), x.mean(1), atol=1e-6, rtol=0)
        before, after = ((z - z.mean(1, keepdim=True)).square().mean((1, 2, 3)) for z in (x, out))
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-9)


def test_posterise_keeps_so_many_levels_with_black_and_white():
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 8, 256).contiguous()
    batch = Batch(ramp, torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    for severity, levels in zip(SEVERITIES, (12, 8, 6, 4, 3), strict=True):
        out = get("posterise")(batch, severity, Draws(0)).x
        want = torch.tensor([k / (levels - 1) for k in range(levels)])
        torch.testing.assert_close(out.unique(), want)
    assert torch.equal(quantise(torch.tensor([0.0, 0.24, 0.26, 1.0]), 3), torch.tensor([0.0, 0.0, 0.5, 1.0]))


def test_slope_is_the_sobel_filter(images):
    grey = luma(images.x[:3])
    for i in range(3):
        plane = grey[i, 0].numpy().astype(np.float64)
        want = np.hypot(*(ndimage.sobel(plane, axis, mode="nearest") / 8 for axis in (0, 1)))
        np.testing.assert_allclose(slope(grey)[i, 0].numpy(), want, atol=1e-6)
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    torch.testing.assert_close(slope(ramp)[..., 1:-1], torch.ones(1, 1, 16, 14))


def test_pencil_draws_edges_dark_on_white_paper():
    flat = torch.full((1, 3, 32, 32), 0.3)
    assert torch.equal(pencil(flat), torch.ones(1, 1, 32, 32))
    step = flat.clone()
    step[..., 16:] = 0.9
    drawn = pencil(step)[0, 0]
    assert (drawn[:, 15:17] < 0.1).all()
    assert (drawn[:, :14] == 1).all()
    assert (drawn[:, 18:] == 1).all()
    # The same picture at 0.6 of its contrast is drawn alike: lines are relative.
    torch.testing.assert_close(pencil(0.5 + (step - 0.5) * 0.6)[0, 0], drawn, atol=1e-4, rtol=0)


def test_sketch_at_the_end_is_the_pencil_alone(images):
    got = get("sketch")(images, 5, Draws(0)).x
    torch.testing.assert_close(got, pencil(images.x).expand_as(got), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "name",
    ["grayscale", "hue", "channels", "posterise", "sketch", "gamma", "bias_field", "haze", "band_shift"],
)
def test_styles_grow_with_severity(name, images):
    distance = [(get(name)(images, s, Draws(0)).x - images.x).abs().mean().item() for s in SEVERITIES]
    assert distance == sorted(distance)
    assert distance[0] < distance[-1]
