"""The generated mixing set: fractals whose geometry is known, noise whose spectrum is, a bank made once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tether.errors import RequestError
from tether.files import cache_dir
from tether.shifts import Draws
from tether.shifts.image import fractals as fr
from tether.shifts.image import textures as tx


def halvings(*corners: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([[[[0.5, 0, x], [0, 0.5, y]] for x, y in corners]])


def test_three_halvings_give_the_sierpinski_triangle():
    """Its points are those whose coordinates have no binary digit 1 in the same place."""
    system = halvings((0, 0), (0.5, 0), (0, 0.5))
    at, tint, weight = fr.attractor(system, torch.rand(1, 3, 3), torch.tensor([4]), Draws(0), 5, 7)
    assert at.shape == (1, 7 * 3**5, 2)
    digits = (at[0] * 2**10).long()
    assert (digits[:, 0] & digits[:, 1] == 0).all()
    cells = (at[0] * 2**5).long()
    assert len({(x, y) for x, y in cells.tolist()}) == 3**5  # every word of five maps was spelt
    assert weight.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(weight, torch.full_like(weight, 1 / (7 * 3**5)))
    assert tint.min() >= 0
    assert tint.max() <= 1


def test_maps_are_taken_as_often_as_they_cover_area():
    system = torch.tensor([[[[0.5, 0, 0], [0, 0.5, 0]], [[0.25, 0, 0.75], [0, 0.25, 0.75]]]])  # areas 4 : 1
    at, _, weight = fr.attractor(system, torch.rand(1, 2, 3), torch.tensor([0]), Draws(0), 3, 4000)
    large = at[0, :, 0] < 0.5  # the attractor's part that the first map makes
    assert weight[0, large].sum().item() == pytest.approx(0.8, abs=1e-5)
    # Walkers follow the same law: of those that the words do not tell apart, a fifth lies in the small part.
    first = at[0, :4000, 0] < 0.5**4  # the word of four first maps; before it, where the walker was
    assert abs(first.float().mean().item() - 0.8) < 4.5 * (0.8 * 0.2 / 4000) ** 0.5


def test_a_points_colour_is_halfway_between_its_parents_and_its_maps():
    system, colours = halvings((0, 0), (0.5, 0.5)), torch.tensor([[[1.0, 0, 0], [0, 0, 1.0]]])
    at, tint, _ = fr.attractor(system, colours, torch.tensor([0]), Draws(0), 6, 3)
    # On the diagonal the position's binary digits are the maps' numbers, and so is the colour's blue part.
    torch.testing.assert_close(tint[0, :, 2], at[0, :, 0], atol=2**-20, rtol=0)


@pytest.mark.parametrize("maps", fr.SYSTEMS)
def test_random_systems_contract_and_neither_vanish_nor_fill(maps):
    system = fr.systems(torch.arange(300), maps, Draws(0))
    size = torch.linalg.svdvals(system[..., :2])
    assert size.max() <= 0.9501
    factor = size[..., 0].sum(1) + 2 * size[..., 1].sum(1)
    assert (factor <= (6 + maps) / 2 + 1e-3).all()
    assert ((factor >= (5 + maps) / 2 - 1e-3).float().mean()) > 0.5  # the others met the bound of 0.95


def test_splat_counts_as_a_loop_does():
    g = torch.Generator().manual_seed(0)
    at, tint, weight = (torch.rand(2, 50, n, generator=g) for n in (2, 3, 1))
    density, colour = fr.splat(at, tint, weight[..., 0], 4)
    want, sums = np.zeros((2, 4, 4)), np.zeros((2, 3, 4, 4))
    for i in range(2):
        for p in range(50):
            x, y = (int(v * 4) for v in at[i, p].tolist())
            want[i, y, x] += weight[i, p, 0].item()
            sums[i, :, y, x] += weight[i, p, 0].item() * tint[i, p].numpy()
    np.testing.assert_allclose(density, want, rtol=1e-5)
    full = want > 0
    got = colour.numpy().transpose(0, 2, 3, 1)[full]
    np.testing.assert_allclose(got, sums.transpose(0, 2, 3, 1)[full] / want[full][:, None], rtol=1e-4)


def test_noise_falls_with_the_drawn_power_of_the_frequency():
    ids, draws, side = torch.arange(60), Draws(0), 64
    slope = (0.8 + 1.2 * draws.uniform(ids, (1, 1, 1), "slope")).flatten()
    spectrum = torch.fft.fft2(tx.coloured_noise(ids, side, draws)).abs().mean(1)  # (60, side, side)
    f = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.fftfreq(side)[None])
    bands = [(f > low) & (f <= 2 * low) for low in (0.04, 0.16)]  # two octaves apart
    low, high = (torch.stack([s[b].square().mean().sqrt() for s in spectrum]) for b in bands)
    got = torch.log2(low / high) / 2
    assert torch.corrcoef(torch.stack([got, slope]))[0, 1] > 0.9
    assert (got - slope).median().abs() < 0.15  # clipping to [0, 1] adds a little


def test_pictures_differ_and_do_not_depend_on_how_many_there_are():
    few, more = tx.make_textures(6, 32, 0).float(), tx.make_textures(11, 32, 0).float()
    assert (few - more[:6]).abs().mean() < 0.05  # a point on the edge of two pixels may fall either way
    assert (few - tx.make_textures(6, 32, 1).float()).abs().mean() > 20
    flat = more.flatten(1)
    near = torch.cdist(flat, flat, p=1) / flat.shape[1] + 1000 * torch.eye(11)
    assert near.min() > 10  # of 255 levels
    assert (more.amax(1) - more.amin(1)).mean() > 40  # coloured, not grey


def test_the_bank_is_made_once_and_then_read(monkeypatch):
    bank = tx.textures(5, 16, seed=3)
    assert (bank.shape, bank.dtype) == ((5, 3, 16, 16), torch.uint8)
    assert [p.name for p in (cache_dir() / "textures").glob("*.npy")] == ["v1-seed3-5x16px.npy"]
    tx._held.cache_clear()  # as another process would start

    def never(*_):
        raise AssertionError("made again")

    monkeypatch.setattr(tx, "make_textures", never)
    assert torch.equal(tx.textures(5, 16, seed=3), bank)
    with pytest.raises(RequestError, match="at least 1"):
        tx.textures(0, 16)


def test_each_sample_gets_its_own_crop():
    bank = torch.randint(0, 256, (9, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    ids, draws = torch.tensor([8, 3, 99, 3]), Draws(1, step=2)
    got = tx.pick(bank, ids, draws, 56, 28)  # seven eighths of the side, half as wide: no resizing
    for i, sample in enumerate(ids):
        row = sample[None]
        k = int(draws.integers(row, 0, 9, (1, 1), "texture"))
        u, v = draws.uniform(row, (2,), "crop")[0].tolist()
        top, left = math.floor(u * 9), math.floor(v * 37)
        want = bank[k, :, top : top + 56, left : left + 28].float() / 255
        torch.testing.assert_close(got[i], want, atol=1e-6, rtol=0)
    assert torch.equal(got[1], got[3])
    assert tx.pick(bank, ids, draws, 20, 300).shape == (4, 3, 20, 300)


def test_the_banks_side_follows_the_pictures():
    assert tx.bank_for(torch.zeros(1, 3, 32, 64), 2).shape[-1] == 64
    assert tx.bank_for(torch.zeros(1, 3, 65, 32), 2).shape[-1] == 128
