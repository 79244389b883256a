"""Elastic deformation against scipy: sampling, smoothing and affine map by another library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tether.batch import Batch
from tether.shifts import SEVERITIES, Draws, get
from tether.shifts.image.elastic import affine, corners, smoother
from tether.shifts.image.tables import ELASTIC


def by_scipy(image: np.ndarray, sample_id: int, severity: int, seed: int) -> np.ndarray:
    """One picture (3, H, W), with the shift's own uniform numbers."""
    spread, sigma, largest = ELASTIC.at(torch.from_numpy(image)[None], severity)
    high, wide = image.shape[1:]
    draws, ids = Draws(seed).spawn("elastic_transform"), torch.tensor([sample_id])
    jitter = (2 * draws.uniform(ids, (3, 2), "jitter")[0].double().numpy() - 1) * largest
    still = corners(high, wide).double().numpy()
    # Least squares on three points is exact: (x, y, 1) of the output to (x, y) of the input.
    back = np.linalg.lstsq(np.c_[still + jitter, np.ones(3)], still, rcond=None)[0]
    y, x = np.mgrid[:high, :wide].astype(float)
    at = np.stack([x, y, np.ones_like(x)], -1) @ back
    bent = np.stack(
        [ndimage.map_coordinates(c, [at[..., 1], at[..., 0]], order=1, mode="mirror") for c in image]
    )
    field = 2 * draws.uniform(ids, (2, high, wide), "field")[0].double().numpy() - 1
    if spread:
        dx, dy = (ndimage.gaussian_filter(f, sigma, mode="reflect", truncate=3) * spread for f in field)
        bent = np.stack([ndimage.map_coordinates(c, [y + dy, x + dx], order=1, mode="reflect") for c in bent])
    return bent


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (64, 80), (33, 29), (224, 224)])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_is_scipys_map_of_the_same_draws(severity, size, images):
    x = torch.nn.functional.interpolate(images.x[:2], size=size, mode="bilinear")
    ids = torch.tensor([3, 999])
    got = get("elastic_transform")(Batch(x, torch.zeros_like(ids), ids), severity, Draws(4)).x
    for one, image, i in zip(got, x, ids.tolist(), strict=True):
        want = by_scipy(image.double().numpy(), i, severity, seed=4)
        # float32 positions: a few thousandths of a pixel's step near a sharp edge.
        np.testing.assert_allclose(one.numpy(), want, atol=4e-4)


@pytest.mark.parametrize("sigma", [0.0, 0.32, 2.44, 19.5, 170.8])
def test_smoothing_matrix_is_scipys_filter(sigma):
    row = np.random.default_rng(0).random(60)
    want = ndimage.gaussian_filter1d(row, sigma, mode="reflect", truncate=3) if sigma else row
    np.testing.assert_allclose(smoother(60, sigma).double().numpy() @ row, want, atol=1e-6)


def test_affine_map_takes_moved_corners_back():
    jitter = torch.rand(5, 3, 2, generator=torch.Generator().manual_seed(0)) * 8 - 4
    matrix = affine(jitter, 48, 64)
    moved = corners(48, 64) + jitter
    back = moved @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]
    torch.testing.assert_close(back, corners(48, 64).expand(5, 3, 2), atol=1e-4, rtol=0)
    # Height first, as in the original: (24 + 16, 32 + 16) and two more.
    assert corners(48, 64).tolist() == [[40, 48], [40, 16], [8, 16]]


def test_the_constants_of_the_tables():
    """METHODS 5.1: at 224 px the published slip of 244, at 64 and 32 px the size itself."""
    at = {n: [ELASTIC.at(torch.zeros(1, 3, n, n), s) for s in SEVERITIES] for n in (224, 64, 32)}
    np.testing.assert_allclose(at[224][0], (488, 170.8, 24.4))
    np.testing.assert_allclose(at[224][4], (29.28, 2.44, 4.88))
    np.testing.assert_allclose(at[64][1], (3.2, 19.2, 3.84))
    np.testing.assert_allclose(at[32][0], (0, 0, 2.56))
