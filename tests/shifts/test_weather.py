"""Fog, snow and frost against plain loops and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from tether.batch import Batch
from tether.shifts import SEVERITIES, Draws, get
from tether.shifts.image import parts, tables
from tether.shifts.image.frost import draw_lines, ferns, texture
from tether.shifts.image.plasma import plasma, relief_noise


def shifted(name: str, x: torch.Tensor, severity: int, seed: int = 0) -> torch.Tensor:
    ids = torch.arange(len(x)) + 11
    out = get(name)(Batch(x, ids, ids), severity, Draws(seed)).x
    assert isinstance(out, torch.Tensor)
    return out


def diamond_square(noise: np.ndarray, decay: float) -> np.ndarray:
    """Point by point, edges meeting, as the textbook has it."""
    size = len(noise)
    out = np.zeros((size, size))
    step, height = size, 1.0
    while step > 1:
        half = step // 2
        at = range(0, size, step)
        for y in at:
            for x in at:
                four = [out[(y + i) % size, (x + j) % size] for i in (0, step) for j in (0, step)]
                out[y + half, x + half] = sum(four) / 4 + height * noise[y + half, x + half]
        for y, x in [(y, x + half) for y in at for x in at] + [(y + half, x) for y in at for x in at]:
            near = ((y - half, x), (y + half, x), (y, x - half), (y, x + half))
            out[y, x] = sum(out[i % size, j % size] for i, j in near) / 4 + height * noise[y, x]
        step, height = half, height / decay**2
    out -= out.min()
    return out / out.max()


@pytest.mark.parametrize(("size", "decay"), [(8, 2.0), (16, 1.4), (32, 3.0)])
def test_plasma_is_diamond_square(size, decay):
    noise = relief_noise(torch.arange(3), size, Draws(1), "relief")
    got = plasma(noise, decay)
    for b in range(3):
        np.testing.assert_allclose(
            got[b].numpy(), diamond_square(noise[b].double().numpy(), decay), atol=1e-5
        )


def test_relief_noise_is_uniform():
    noise = relief_noise(torch.arange(8), 128, Draws(0), "relief").double()
    n = noise.numel()
    assert noise.min() >= -1
    assert noise.max() < 1
    assert abs(noise.mean()) < 4 * 3**-0.5 / n**0.5
    assert noise.var().item() == pytest.approx(1 / 3, abs=0.01)
    assert abs((noise[:, :, 1:] * noise[:, :, :-1]).mean()) < 4 / 3 / n**0.5


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(32, 32), (40, 70)])
def test_fog_adds_the_relief_and_dims(shape, severity, images):
    x = torch.nn.functional.interpolate(images.x[:2], size=shape, mode="bilinear") * 0.8
    strength, decay = tables.FOG.at(x, severity)
    side = {32: 32, 70: 128}[shape[1]]
    noise = relief_noise(torch.arange(2) + 11, side, Draws(0).spawn("fog"), "relief")
    for b, got in enumerate(shifted("fog", x, severity)):
        relief = diamond_square(noise[b].double().numpy(), decay)[: shape[0], : shape[1]]
        most = x[b].max().item()
        want = (x[b].numpy() + strength * relief) * most / (most + strength)
        np.testing.assert_allclose(got.numpy(), want.clip(0, 1), atol=2e-5)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_snow_is_made_of_its_parts(severity, images):
    """Second road: scipy's zoom and spline-free shifts, one image at a time."""
    shape = (30, 37)
    x = images.x[:3, :, :30, :].repeat(1, 1, 1, 2)[..., :37]
    mean, std, zoom, threshold, radius, sigma, keep = tables.SNOW.at(x, severity)
    ids, draws = torch.arange(3) + 11, Draws(0).spawn("snow")
    small = [math.ceil(n / zoom) for n in shape]
    noise = draws.normal(ids, (1, *small), "flakes").double().numpy() * std + mean
    angle = draws.uniform(ids, (), "angle").tolist()
    for b, got in enumerate(shifted("snow", x, severity)):
        large = ndimage.zoom(noise[b, 0], zoom, order=1, mode="nearest")
        top, left = ((m - n) // 2 for n, m in zip(shape, large.shape, strict=True))
        flakes = large[top : top + 30, left : left + 37].clip(max=1)
        assert (np.abs(flakes - threshold) > 1e-6).all()  # no coin falls on its edge
        flakes = np.where(flakes < threshold, 0, flakes)
        line = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
        turn = math.radians(angle[b] * 90 - 135)
        fallen = np.zeros(shape)
        padded = np.pad(flakes, 2 * radius, mode="edge")
        for i, weight in enumerate(line / line.sum()):
            dy, dx = (math.ceil(i * v - 0.5) + 2 * radius for v in (math.sin(turn), math.cos(turn)))
            fallen += weight * padded[dy : dy + 30, dx : dx + 37]
        picture = x[b].double().numpy()
        grey = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
        white = keep * picture + (1 - keep) * np.maximum(picture, 1.5 * grey + 0.5)
        want = (white + fallen + fallen[::-1, ::-1]).clip(0, 1)
        np.testing.assert_allclose(got.numpy(), want, atol=1e-5)


def test_lines_show_the_brightest_and_fade():
    canvas = torch.zeros(1, 8, 10)
    start = torch.tensor([[[1.5, 0.5], [0.5, 3.5], [-3.0, 2.0]]])
    along = torch.tensor([[[0.0, 6.0], [4.0, 0.0], [0.0, 4.0]]])  # across, down, and outside
    draw_lines(canvas, start, along, torch.tensor([[1.0, 0.5, 0.9]]), 60)
    picture = canvas[0, 1:-1, 1:-1]
    want = torch.zeros(6, 8)
    for j, where in enumerate(torch.linspace(0.5, 6.5, 61)[:-1].tolist()):
        want[1, int(where)] = max(want[1, int(where)], 1 - 0.6 * j / 60)
    for j, where in enumerate(torch.linspace(0.5, 4.5, 61)[:-1].tolist()):
        want[int(where), 3] = max(want[int(where), 3], 0.5 * (1 - 0.6 * j / 60))
    torch.testing.assert_close(picture, want, atol=0.011, rtol=0)  # a point may fall on a border
    assert picture[1, 3] > 0.5  # the crossing
    assert picture[0, 1] == 0  # what is outside stays outside


@pytest.mark.parametrize(("size", "images_"), [(224, 8), (160, 8)])
def test_frost_is_bright_and_crystalline(size, images_):
    ids = torch.arange(images_)
    pane = texture(ids, size, size, Draws(0))
    assert pane.min() >= 0
    assert pane.max() <= 1
    grey = pane.mean(1)
    assert 0.5 < grey.mean() < 0.75  # photographs of frost: .5 to .8
    assert grey.mean((1, 2)).std() > 0.03  # no two panes alike
    assert (grey.std((1, 2)) > 0.05).all()
    assert (pane[:, 2].mean((1, 2)) >= pane[:, 0].mean((1, 2))).all()  # cold, never warm
    crystals = ferns(ids, size, size, Draws(0))
    cover = (crystals > 0).float().mean((1, 2, 3))
    assert (cover > 0.1).all()
    assert (cover < 0.8).all()


@pytest.mark.parametrize("size", [32, 64])
def test_frost_weighs_picture_and_pane(size, images):
    black = torch.zeros(4, 3, size, size)
    one, two = shifted("frost_proc", black, 1), shifted("frost_proc", black, 2)
    weights = [tables.FROST.at(black, s)[1] for s in (1, 2)]
    torch.testing.assert_close(one / weights[0], two / weights[1])  # the same pane at all severities
    assert one.max() <= weights[0]
    x = torch.nn.functional.interpolate(images.x[:4], size=size, mode="bilinear") * 0.4
    keep, ice = tables.FROST.at(x, 4)
    torch.testing.assert_close(
        shifted("frost_proc", x, 4), (keep * x + ice * one / weights[0]).clamp(0, 1), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    "name", ["motion_blur", "zoom_blur", "glass_blur", "snow", "fog", "frost_proc", "spatter"]
)
def test_parts_of_a_batch_give_the_whole(name, images, monkeypatch):
    whole = shifted(name, images.x[:25], 3)
    monkeypatch.setattr(parts, "_PIXELS", 7 * 32 * 32)
    torch.testing.assert_close(shifted(name, images.x[:25], 3), whole, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "name", ["motion_blur", "zoom_blur", "glass_blur", "snow", "fog", "frost_proc", "spatter"]
)
def test_the_smallest_and_the_odd_pictures_pass(name, images):
    for shape in ((8, 8), (8, 31), (33, 9)):
        x = torch.nn.functional.interpolate(images.x[:2], size=shape, mode="bilinear")
        for severity in SEVERITIES:
            out = shifted(name, x, severity)
            assert out.shape == x.shape
            assert out.isfinite().all()
