"""Spatter and the contour operations under it, against plain loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tether.batch import Batch
from tether.shifts import Draws, get
from tether.shifts.image import tables
from tether.shifts.image.contours import bordered, canny, distance
from tether.shifts.image.spatter import _MUD, _WATER, _emboss, _mean_3x3, _spread_levels


def shifted(x: torch.Tensor, severity: int) -> torch.Tensor:
    ids = torch.arange(len(x)) + 3
    return get("spatter")(Batch(x, ids, ids), severity, Draws(0)).x


def blobs(count: int, high: int, wide: int, seed: int = 0, sigma: float = 1.5) -> np.ndarray:
    """Whole numbers in 0..255, int16: smooth islands in a sea of 0."""
    noise = np.random.default_rng(seed).normal(size=(count, high, wide))
    smooth = ndimage.gaussian_filter(noise, (0, sigma, sigma))
    smooth = smooth / np.abs(smooth).max()
    return np.where(smooth > 0.15, smooth * 255, 0).astype(np.int16)


def canny_by_loop(grey: np.ndarray, low: float, high: float) -> np.ndarray:
    """One picture, pixel by pixel; hysteresis by connected components."""
    g = grey.astype(int)
    dx = ndimage.sobel(g, axis=1, mode="nearest")
    dy = ndimage.sobel(g, axis=0, mode="nearest")
    size = np.pad(np.abs(dx) + np.abs(dy), 1)
    ridge = np.zeros(g.shape, bool)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            here, ax, ay = size[i + 1, j + 1], abs(dx[i, j]), abs(dy[i, j])
            if ay < np.tan(np.pi / 8) * ax:
                ridge[i, j] = size[i + 1, j] < here >= size[i + 1, j + 2]
            elif ay > np.tan(3 * np.pi / 8) * ax:
                ridge[i, j] = size[i, j + 1] < here >= size[i + 2, j + 1]
            else:
                s = -1 if (dx[i, j] < 0) != (dy[i, j] < 0) else 1
                ridge[i, j] = size[i, j + 1 - s] < here > size[i + 2, j + 1 + s]
    size = size[1:-1, 1:-1]
    weak = ridge & (size > low)
    label, _ = ndimage.label(weak, np.ones((3, 3)))
    strong = np.unique(label[weak & (size > high)])
    return weak & np.isin(label, strong)


@pytest.mark.parametrize(("low", "high"), [(50.0, 150.0), (50.0, 600.0), (5.0, 400.0)])
def test_canny_is_the_loops(low, high):
    grey = blobs(4, 37, 29)
    grey[3] = np.random.default_rng(1).integers(0, 256, grey[3].shape)
    got = canny(torch.from_numpy(grey), low, high)
    for b in range(4):
        want = canny_by_loop(grey[b], low, high)
        assert want.any()
        np.testing.assert_array_equal(got[b].numpy(), want)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(3, 50), st.integers(3, 50)),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.002, 0.05, 0.5]),
    most=st.integers(2, 20),
)
def test_distance_is_scipys_up_to_the_limit(shape, seed, share, most):
    marked = np.random.default_rng(seed).random((2, *shape)) < share
    got = distance(torch.from_numpy(marked), most).numpy()
    for b in range(2):
        want = ndimage.distance_transform_edt(~marked[b]) if marked[b].any() else np.full(shape, np.inf)
        np.testing.assert_allclose(got[b], np.minimum(want, most), atol=1e-5)


def test_borders():
    grey = torch.arange(12, dtype=torch.int16).view(1, 3, 4)
    for mode, theirs in (("replicate", "edge"), ("reflect", "reflect")):
        want = np.pad(grey[0].numpy(), 1, mode=theirs)
        np.testing.assert_array_equal(bordered(grey, mode)[0].numpy(), want)


def test_small_filters_are_scipys():
    grey = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 9, 12)).astype(np.int16))
    kernel = [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]
    for b in range(2):
        plain = grey[b].numpy().astype(float)
        np.testing.assert_allclose(
            _mean_3x3(grey)[b].numpy(), ndimage.uniform_filter(plain, 3, mode="mirror"), rtol=1e-6
        )
        lit = ndimage.correlate(plain, np.array(kernel), mode="mirror")
        np.testing.assert_array_equal(_emboss(grey)[b].numpy(), lit.clip(0, 255))


def test_levels_are_spread_by_their_ranks():
    levels = torch.tensor([[[3, 3, 3, 5], [5, 5, 5, 20]], [[7, 7, 7, 7], [7, 7, 7, 7]]]).to(torch.int16)
    got = _spread_levels(levels)
    # Of the 5 pixels above the darkest level, 4 are at or below level 5: 255 * 4 / 5.
    assert got[0].tolist() == [[0, 0, 0, 204], [204, 204, 204, 255]]
    assert torch.equal(got[1], levels[1])


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("severity", [1, 2, 3])
def test_water_adds_its_colour_where_it_is_wet(size, severity):
    x = torch.full((8, 3, size, size), 0.05)
    _, _, sigma, threshold, amount, mud = tables.SPATTER.at(x, severity)
    assert not mud
    added = shifted(x, severity) - x
    assert added.min() >= 0
    light = added / torch.tensor(_WATER).view(1, 3, 1, 1)  # the same light in all channels
    torch.testing.assert_close(light[:, 0], light[:, 1], atol=1e-5, rtol=0)
    # In each picture the brightest drop gets the full amount.
    torch.testing.assert_close(light.amax((1, 2, 3)), torch.full((8,), amount), atol=1e-5, rtol=0)
    mean, std = tables.SPATTER.at(x, severity)[:2]
    noise = Draws(0).spawn("spatter").normal(torch.arange(8) + 3, (1, size, size), "drops").double().numpy()
    liquid = ndimage.gaussian_filter(noise * std + mean, (0, 0, sigma, sigma), mode="nearest", truncate=4)
    assert (added[:, 0].numpy()[liquid[:, 0] < threshold - 1e-5] == 0).all()


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("severity", [4, 5])
def test_mud_covers_with_its_colour(size, severity):
    x = torch.full((4, 3, size, size), 0.9)
    mean, std, sigma, threshold, amount, mud = tables.SPATTER.at(x, severity)
    assert mud
    noise = Draws(0).spawn("spatter").normal(torch.arange(4) + 3, (size, size), "drops").double().numpy()

    def soft(y, s):
        return ndimage.gaussian_filter(y, (0, s, s), mode="nearest", truncate=4)

    cover = soft((soft(noise * std + mean, sigma) > threshold).astype(float), amount)
    cover = np.where(cover < 0.8, 0, cover)[:, None]
    want = 0.9 * (1 - cover) + np.array(_MUD).reshape(1, 3, 1, 1) * cover
    off = np.abs(shifted(x, severity).numpy() - want) > 1e-5
    assert off.mean() < 2e-4  # a pixel on a threshold may fall on either side of it
    assert (cover > 0).any()


def test_a_dry_picture_stays_as_it_is():
    """Noise that never passes the threshold: nothing is divided by nothing."""
    x = torch.full((300, 3, 8, 8), 0.3)
    out = shifted(x, 1)
    assert out.isfinite().all()
    same = (out == x).flatten(1).all(1)
    assert same.any()
    assert not same.all()
