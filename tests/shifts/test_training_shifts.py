"""The operations behind the training shifts against Pillow and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy import stats

from tether.batch import Batch
from tether.shifts import Draws, get
from tether.shifts.image import augmix as am
from tether.shifts.image.levels import autocontrast, equalize, posterize, solarize
from tether.shifts.image.warp import about_centre, rotation, warp


def bytes_of(x: torch.Tensor) -> torch.Tensor:
    return (x * 255).round() / 255


def pillow(x: torch.Tensor, change) -> torch.Tensor:
    done = [np.array(change(Image.fromarray((i * 255).round().byte().permute(1, 2, 0).numpy()))) for i in x]
    return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def x(images) -> torch.Tensor:
    out = bytes_of(images.x[:8]).clone()
    out[0] = 0.4  # constant
    out[1] = (out[1] > 0.5).float()  # two levels
    out[2] = 0.3 + 0.1 * out[2]  # few levels
    return bytes_of(out)


def test_autocontrast(x):
    want = pillow(x, ImageOps.autocontrast)
    torch.testing.assert_close(autocontrast(x), want, atol=1.01 / 255, rtol=0)  # Pillow truncates to bytes


def test_equalize(x):
    torch.testing.assert_close(equalize(x), pillow(x, ImageOps.equalize), atol=1e-6, rtol=0)


def test_posterize(x):
    bits = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8])
    got = posterize(x, bits)
    for i, b in enumerate(bits.tolist()):
        want = pillow(x[i : i + 1], lambda im, b=b: ImageOps.posterize(im, b))
        torch.testing.assert_close(got[i : i + 1], want, atol=1e-6, rtol=0)


def test_solarize(x):
    thresholds = torch.tensor([0, 1, 64, 100, 128, 200, 255, 256])
    got = solarize(x, thresholds)
    for i, t in enumerate(thresholds.tolist()):
        want = pillow(x[i : i + 1], lambda im, t=t: ImageOps.solarize(im, t))
        torch.testing.assert_close(got[i : i + 1], want, atol=1e-6, rtol=0)


def by_pillow_affine(x: torch.Tensor, six: list[float]) -> torch.Tensor:
    size, affine, how = (x.shape[2], x.shape[1]), Image.Transform.AFFINE, Image.Resampling.BILINEAR
    planes = [np.array(Image.fromarray(c).transform(size, affine, six, how)) for c in x.numpy()]
    return torch.from_numpy(np.stack(planes))


@pytest.mark.parametrize(
    "six", [[1, 0.2, 0, 0, 1, 0], [1, 0, 0, -0.25, 1, 0], [1, 0, 5.5, 0, 1, -3], [0.9, 0.1, 2, -0.2, 1.1, 4]]
)
def test_warp_is_pillows_affine_transform(six, images):
    x = images.x[5, :, :, :24]  # (3, 32, 24), not square
    got = warp(x[None], torch.tensor(six).view(1, 2, 3))[0]
    # Pillow repeats the border pixel in the last half pixel, torch fades to black: compare inside.
    v, u = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    px, py = six[0] * u + six[1] * v + six[2], six[3] * u + six[4] * v + six[5]
    inside = (px > 0.51) & (px < 23.49) & (py > 0.51) & (py < 31.49)
    assert inside.float().mean() > 0.4
    torch.testing.assert_close(got[:, inside], by_pillow_affine(x, six)[:, inside], atol=1e-4, rtol=0)
    outside = (px < -0.51) | (px > 24.51) | (py < -0.51) | (py > 32.51)
    assert (got[:, outside] == 0).all()


def test_rotation_turns_as_pillow_does(images):
    x = images.x[:1]
    got = warp(x, about_centre(rotation(torch.tensor([20.0])), torch.zeros(1, 2), 32, 32))[0]
    want = np.stack(
        [np.array(Image.fromarray(c).rotate(20, Image.Resampling.BILINEAR)) for c in x[0].numpy()]
    )
    np.testing.assert_allclose(got.numpy()[:, 8:24, 8:24], want[:, 8:24, 8:24], atol=1e-4)
    quarter = warp(x, about_centre(rotation(torch.tensor([90.0])), torch.zeros(1, 2), 32, 32))
    torch.testing.assert_close(quarter, x.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_identity_warp(images):
    still = about_centre(torch.eye(2).expand(64, 2, 2), torch.zeros(64, 2), 32, 32)
    torch.testing.assert_close(warp(images.x, still), images.x, atol=1e-5, rtol=0)


def one_by_one(x: torch.Tensor, name: str, level: float, sign: float) -> torch.Tensor:
    """AugMix's nine operations on one image, written out."""
    m, size = level / 10, x.shape[-1]
    if name == "autocontrast":
        return autocontrast(x)
    if name == "equalize":
        return equalize(x)
    if name == "posterize":
        return posterize(x, torch.tensor([4 - int(level * 4 / 10)]))
    if name == "solarize":
        return solarize(x, torch.tensor([256 - int(level * 256 / 10)]))
    a, c = math.radians(sign * m * 30), size / 2
    six = {
        "rotate": [math.cos(a), -math.sin(a), c - c * math.cos(a) + c * math.sin(a),
                   math.sin(a), math.cos(a), c - c * math.sin(a) - c * math.cos(a)],
        "shear_x": [1, sign * m * 0.3, 0, 0, 1, 0],
        "shear_y": [1, 0, 0, sign * m * 0.3, 1, 0],
        "translate_x": [1, 0, sign * m * size / 3, 0, 1, 0],
        "translate_y": [1, 0, 0, 0, 1, sign * m * size / 3],
    }[name]  # fmt: skip
    return warp(x, torch.tensor(six).view(1, 2, 3))


def test_operations_go_to_the_rows_that_drew_them(images):
    operation = torch.arange(64) % 10 - 1  # all nine, and -1
    level = torch.linspace(0.1, 4.9, 64)
    sign = torch.where(torch.arange(64) % 3 == 0, -1.0, 1.0)
    got = am.operate(images.x, operation, level, sign)
    for i in range(64):
        x, k = images.x[i : i + 1], int(operation[i])
        want = x if k < 0 else one_by_one(x, am.OPERATIONS[k], float(level[i]), float(sign[i]))
        torch.testing.assert_close(got[i : i + 1], want, atol=2e-5, rtol=0)


def test_augmix_is_its_formula(images):
    """Second road: image by image, chain by chain, from the same draws."""
    draws, severity = Draws(4), 3
    got = am.augmix(images.x, severity, images.ids, draws)
    for i in range(12):
        row = images.ids[i : i + 1]
        mix = draws.uniform(row, (1,), "mix").item()
        w = [-math.log1p(-u) for u in draws.uniform(row, (3,), "weight")[0].tolist()]
        want = (1 - mix) * images.x[i]
        for c in range(3):
            z = images.x[i : i + 1]
            for step in range(int(draws.integers(row, 1, 4, (3, 1), "depth")[0, c, 0])):
                k = int(draws.integers(row, 0, 9, (3, 3), "operation")[0, c, step])
                level = 0.1 + (severity - 0.1) * draws.uniform(row, (3, 3), "level")[0, c, step].item()
                sign = 2 * int(draws.integers(row, 0, 2, (3, 3), "sign")[0, c, step]) - 1
                z = one_by_one(z, am.OPERATIONS[k], level, sign)
            want = want + mix * w[c] / sum(w) * z[0]
        # A level that a warp left a rounding error from the next byte may fall to either side in the
        # operations that count bytes; all but a handful of pixels agree closely.
        assert ((got[i] - want).abs() < 1e-4).float().mean() > 0.99


def test_augmix_leaves_a_constant_picture_in_its_range_and_stays_convex(images):
    out = am.augmix(images.x, 5, images.ids, Draws(0))
    assert out.min() >= -1e-6
    assert out.max() <= 1 + 1e-6


def test_augmix_weights_are_dirichlet():
    """The marginal of Dirichlet(1, 1, 1) is Beta(1, 2)."""
    u = Draws(0).uniform(torch.arange(5000), (3,), "weight").double()
    w = -torch.log1p(-u)
    assert stats.kstest((w / w.sum(1, keepdim=True))[:, 0].numpy(), stats.beta(1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["geometry", "tone", "augmix"])
def test_training_shifts_grow(name, images):
    distance = [(get(name)(images, s, Draws(0)).x - images.x).abs().mean().item() for s in (1, 3, 5)]
    assert distance[0] < distance[1] < distance[2]


def test_geometry_by_hand(images):
    """One image, its matrix composed in plain numbers from the same draws."""
    shift, ids = get("geometry"), images.ids[3:4]
    t, z, k, mx, my = (2 * Draws(9).spawn("geometry").uniform(ids, (5,), "amount")[0] - 1).tolist()
    a, s = math.radians(30 * t), math.exp(0.3 * z)
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    linear = turn @ np.array([[s, 0.3 * k], [0, s]])
    offset = 16 - linear @ [16, 16] + np.array([0.15 * mx, 0.15 * my]) * 32
    matrix = torch.tensor(np.column_stack([linear, offset]), dtype=torch.float32)[None]
    want = warp(images.x[3:4], matrix, fill="reflection")
    torch.testing.assert_close(shift(images.take([3]), 5, Draws(9)).x, want, atol=1e-4, rtol=0)


def test_tone_never_is_the_test_corruption_contrast():
    """Where it inverts, order turns: no channel of a ramp comes back merely flatter."""
    ramp = torch.linspace(0.1, 0.9, 32).expand(300, 3, 32, 32).contiguous()
    ids = torch.arange(300)
    for severity in (1, 2, 3, 4, 5):
        out = get("tone")(Batch(ramp, ids * 0, ids), severity, Draws(0)).x
        slope = (out[:, :, 0, -1] - out[:, :, 0, 0]) / 0.8  # (300, 3)
        linear = (out - out[..., :1] - slope[..., None, None] * (ramp - ramp[..., :1])).abs().amax(
            (2, 3)
        ) < 1e-4
        flatter = linear & (slope > 0) & (slope < 0.99)
        assert not flatter.any()
        assert (slope < 0).any()  # some were inverted
