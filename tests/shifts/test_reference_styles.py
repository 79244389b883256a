"""Styles taken from other pictures: where references come from, and what is taken."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import pictures
from tether.batch import Batch
from tether.data import Examples, from_objects
from tether.errors import RequestError
from tether.shifts import SEVERITIES, Draws, Recipe, Supplies, get, prepared_view
from tether.shifts.image.styles import references
from tether.shifts.image.styles.adain import match_statistics
from tether.shifts.image.styles.fourier import mix_amplitude, window
from tether.shifts.image.styles.histogram import match_histogram
from tether.shifts.image.styles.lab import to_lab, to_srgb
from tether.shifts.image.styles.references import training_pictures
from tether.shifts.image.styles.spectral import spectral
from tether.shifts.mixture import mixture

NAMES = ("fda", "apr", "fact", "histogram_match", "adain_pixel")


def examples(x, count: int) -> Examples:
    half = ([0, 1] * count)[:count]
    return from_objects((list(x[:count]), half), id_val=(list(x[:4]), [0, 1, 0, 1])).train


@pytest.fixture(scope="module")
def train() -> Examples:
    return examples(pictures(24, 16, seed=3), 24)


def supplies(train: Examples) -> Supplies:
    return Supplies(train, {}, ("a", "b"), "none", lambda b: b.x, lambda n: None)


def ready(name: str, kind: str, train: Examples):
    return get({"name": name, "references": kind}).prepared(supplies(train))


# Where references come from.


def test_a_bank_gives_every_other_picture_and_never_ones_own(train):
    bank = training_pictures(train, 512)
    assert len(bank.ids) == 24
    assert torch.equal(bank.ids, torch.from_numpy(np.sort(train.ids)))
    own = train.batch(range(24))
    met = {int(i): set() for i in own.ids}
    for step in range(150):
        got = bank(own.ids, Draws(0, step), (16, 16))
        for row, i in enumerate(own.ids.tolist()):
            (which,) = [j for j in range(24) if torch.equal(got[row], own.x[j])]
            met[i].add(int(own.ids[which]))
    for i, seen in met.items():
        assert seen == set(own.ids.tolist()) - {i}


def test_a_sample_from_elsewhere_may_meet_all(train):
    bank = training_pictures(train, 512)
    ids = torch.arange(10_000, 10_600)
    got = bank(ids, Draws(0), (16, 16)).flatten(1).unique(dim=0)
    assert len(got) == 24


def test_the_reference_hangs_on_the_sample_alone(train):
    bank, ids = training_pictures(train, 10), torch.from_numpy(train.ids)
    whole = bank(ids, Draws(1, 4), (16, 16))
    rows = [7, 2, 20]
    assert torch.equal(bank(ids[rows], Draws(1, 4), (16, 16)), whole[rows])
    alone = spectral(ids[7:8], Draws(1, 4), (16, 12))
    torch.testing.assert_close(alone[0], spectral(ids, Draws(1, 4), (16, 12))[7], atol=2e-6, rtol=0)
    assert not torch.allclose(alone, spectral(ids[7:8], Draws(1, 5), (16, 12)))


def test_a_small_bank_is_a_part_drawn_by_id_whatever_the_order(train):
    few = training_pictures(train, 6)
    turned = training_pictures(train.subset(range(23, -1, -1)), 6)
    assert len(few.ids) == 6
    assert torch.equal(few.ids, turned.ids)
    assert torch.equal(few.pixels, turned.pixels)
    assert not torch.equal(few.ids, torch.from_numpy(np.sort(train.ids)[:6]))
    assert training_pictures(train, 6) is few  # read once for all shifts of a run


def test_a_bank_goes_with_its_data():
    def inner() -> int:
        data = examples(pictures(4, 8), 4)
        training_pictures(data, 4)
        return len(references._BANKS)

    gc.collect()
    before = len(references._BANKS)
    inside = inner()
    gc.collect()
    assert inside == before + 1
    assert len(references._BANKS) == before


def test_generated_textures_are_a_bank_too(monkeypatch, images):
    few = (pictures(5, 16) * 255).round().byte()
    monkeypatch.setattr(references, "textures", lambda: few)
    got = references.generated(torch.arange(200), Draws(0), (16, 16))
    assert torch.equal(got.flatten(1).unique(dim=0), (few.float() / 255).flatten(1).unique(dim=0))
    out = get({"name": "fda", "references": "textures"})(images, 3, Draws(0)).x
    assert 0 <= out.min() <= out.max() <= 1


def test_references_of_another_size_are_fitted(train):
    got = training_pictures(train, 512)(torch.arange(3), Draws(0), (32, 24))
    assert got.shape == (3, 3, 32, 24)
    assert 0 <= got.min() <= got.max() <= 1


def test_what_cannot_be_a_bank_is_refused(train):
    with pytest.raises(RequestError, match="at least two training pictures, one for another, got 1"):
        training_pictures(train.subset([0]), 512)
    texts = from_objects((["a b", "c d", "e f", "g h"] * 5, [0, 1, 0, 1] * 5)).train
    with pytest.raises(RequestError, match="batch of images, got texts"):
        get("fda").prepared(supplies(texts))
    with pytest.raises(RequestError, match="at least 2 reference pictures, got 1"):
        get({"name": "apr", "pictures": 1})
    with pytest.raises(RequestError, match=r"shift\.references"):
        get({"name": "apr", "references": "paintings"})


def test_spectral_pictures_fall_off_as_drawn():
    """Slope of log amplitude over log frequency, across the range of powers, at most a little outside."""
    x = spectral(torch.arange(40), Draws(0), (64, 64))
    assert 0 <= x.min() <= x.max() <= 1
    amplitude = torch.fft.rfft2(x - x.mean((2, 3), keepdim=True)).abs().mean(1)  # (40, 64, 33)
    y = torch.fft.fftfreq(64)[:, None].expand(64, 33)
    radius = torch.hypot(y, torch.fft.rfftfreq(64)[None, :].expand(64, 33))
    inside = (radius > 0.03) & (radius < 0.45)
    design = torch.stack([radius[inside].log(), torch.ones(int(inside.sum()))], 1)
    slopes = torch.linalg.lstsq(design, amplitude[:, inside].clamp(min=1e-6).log().T).solution[0]
    assert -1.7 < slopes.min() < -1.4
    assert -1.1 < slopes.max() < -0.8


# The contract, with both banks.


@pytest.mark.parametrize("kind", ["train", "spectral"])
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, kind, train, images):
    shift = ready(name, kind, train)
    assert (shift.name, shift.default) == (name, False)
    assert shift(images, 0, Draws(0)) is images
    for dtype in (torch.float16, torch.float64):
        x = images.x[:6, :, :20].to(dtype)
        batch = replace(images.take(range(6)), x=x)
        outs = [shift(batch, s, Draws(2, 1)).x for s in SEVERITIES]
        for out in outs:
            assert (out.shape, out.dtype) == (x.shape, dtype)
            assert 0 <= out.min() <= out.max() <= 1
            assert not torch.allclose(out, x, atol=1e-3)
        assert torch.equal(batch.x, images.x[:6, :, :20].to(dtype))
        alone = shift(batch.take([4]), 5, Draws(2, 1)).x[0]
        # Levels are whole bytes: where one lies between two, rounding may fall either way.
        close = (alone - outs[4][4]).abs() < 2e-3
        assert close.float().mean() > 0.999
        assert not torch.allclose(shift(batch, 5, Draws(3, 1)).x, outs[4], atol=1e-3)


@pytest.mark.parametrize("kind", ["train", "spectral"])
@pytest.mark.parametrize("name", NAMES)
def test_distance_grows_with_severity(name, kind, train, images):
    shift = ready(name, kind, train)
    distance = [(shift(images, s, Draws(0)).x - images.x).abs().mean().item() for s in SEVERITIES]
    assert distance == sorted(distance)
    assert distance[0] < distance[-1]


def test_a_recipe_in_a_mixture_is_built_from_the_run(train, images):
    assert isinstance(get("fda"), Recipe)
    view = prepared_view(mixture(["fda", {"name": "apr", "references": "spectral"}]), supplies(train))
    out = view(images, None, None, Draws(0))
    assert torch.equal(out.ids, images.ids)


# Fourier.


def dft(x: np.ndarray) -> np.ndarray:
    """The transform written out: no FFT."""
    high, wide = x.shape
    down = np.exp(-2j * np.pi * np.outer(np.arange(high), np.arange(high)) / high)
    across = np.exp(-2j * np.pi * np.outer(np.arange(wide), np.arange(wide)) / wide)
    return down @ x @ across


def naive_mix(x: np.ndarray, other: np.ndarray, weight: np.ndarray | float) -> np.ndarray:
    """One channel, the whole spectrum; weight is (H, W) with the mean in the corner."""
    own = dft(x)
    amplitude = (1 - weight) * np.abs(own) + weight * np.abs(dft(other))
    back = np.conj(dft(np.conj(amplitude * np.exp(1j * np.angle(own))))) / x.size
    assert np.abs(back.imag).max() < 1e-9
    return back.real


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 12, 9, generator=g), torch.rand(2, 3, 12, 9, generator=g)


def test_mixing_is_the_formula(pair):
    x, other = pair
    got = mix_amplitude(x, other, torch.tensor([0.3, 1.0]).view(2, 1, 1, 1))
    for i, weight in enumerate((0.3, 1.0)):
        for c in range(3):
            want = naive_mix(x[i, c].double().numpy(), other[i, c].double().numpy(), weight)
            np.testing.assert_allclose(got[i, c].numpy(), want, atol=1e-5)


def test_phase_is_ones_own_and_amplitude_the_others(pair):
    x, other = pair
    mixed = torch.fft.fft2(mix_amplitude(x, other, 1.0).double())
    own, foreign = torch.fft.fft2(x.double()), torch.fft.fft2(other.double())
    torch.testing.assert_close(mixed.abs(), foreign.abs(), atol=1e-4, rtol=1e-4)
    turn = torch.angle(mixed / own)
    assert turn[foreign.abs() > 0.1].abs().max() < 1e-3
    torch.testing.assert_close(mix_amplitude(x, other, 0.0), x, atol=1e-6, rtol=0)
    torch.testing.assert_close(mix_amplitude(x, x, 1.0), x, atol=1e-5, rtol=0)


def test_a_flat_picture_only_takes_the_mean(pair):
    flat = torch.full_like(pair[0], 0.25)
    got = mix_amplitude(flat, pair[1], 1.0)
    want = pair[1].mean((2, 3), keepdim=True).expand_as(got)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_the_window_is_a_centred_square(pair):
    """FDA written out on the shifted spectrum: rows and columns c - b .. c + b."""
    x, other = pair
    got = mix_amplitude(x, other, window((12, 9), 2 / 9, x.device))
    square = np.zeros((12, 9))
    square[6 - 2 : 6 + 3, 4 - 2 : 4 + 3] = 1
    weight = np.fft.ifftshift(square)
    for c in range(3):
        want = naive_mix(x[0, c].double().numpy(), other[0, c].double().numpy(), weight)
        np.testing.assert_allclose(got[0, c].numpy(), want, atol=1e-5)


def test_the_window_covers_a_ring_in_part_and_never_the_mean_alone():
    quarter = window((50, 40), 2.25 / 40, torch.device("cpu"))
    assert quarter[0, :5].tolist() == pytest.approx([1, 1, 1, 0.25, 0], abs=1e-5)
    assert quarter[-3:, 0].tolist() == pytest.approx([0.25, 1, 1], abs=1e-5)
    tiny = window((32, 32), 0.01, torch.device("cpu"))
    assert tiny[0, :3].tolist() == [1, 1, 0]
    assert tiny[-1, 1] == 1
    assert tiny.sum() == 6  # of the 9 in the square, those in the half spectrum


@pytest.mark.parametrize(("name", "weights"), [("apr", (0.4, 0.55, 0.7, 0.85, 1.0)), ("fact", None)])
def test_whole_spectrum_shifts_from_their_draws(name, weights, images):
    batch, shift = images.take(range(3)), get({"name": name, "references": "spectral"})
    draws = Draws(5).spawn(name)
    other = spectral(batch.ids, draws.spawn("references"), (32, 32))
    for severity in (2, 5):
        got = shift(batch, severity, Draws(5)).x
        for i in range(3):
            drawn = draws.uniform(batch.ids[i : i + 1], (1,), "weight").item() * severity / 5
            weight = weights[severity - 1] if weights else drawn
            want = [
                naive_mix(batch.x[i, c].double().numpy(), other[i, c].double().numpy(), weight)
                for c in range(3)
            ]
            np.testing.assert_allclose(got[i].numpy(), np.clip(want, 0, 1), atol=1e-4)


# Histograms and channel statistics.


def naive_match(x: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One channel of bytes, by sorted values and cumulative shares."""
    if len(np.unique(x)) == 1 or len(np.unique(other)) == 1:
        return x.astype(float)
    levels, counts = np.unique(other, return_counts=True)
    share = np.cumsum(counts) / other.size
    out = np.empty(x.shape)
    for at, value in np.ndenumerate(x):
        out[at] = np.interp((x <= value).sum() / x.size, share, levels)
    return out


def test_histogram_matching_is_the_loop(images):
    x, other = images.x[:4].clone(), images.x[10:14].clone()
    x[0, 0] = 0.3  # constant
    other[0, 1] = 0.6
    x[1] = (x[1] > 0.5).float()  # two levels
    other[2] = (other[2] > 0.5).float()
    x[3] = x[3].clamp(min=0.4)  # half of the pixels at one level
    got = match_histogram(x, other) * 255
    for i in range(4):
        for c in range(3):
            pair = ((z[i, c] * 255).round().numpy().astype(int) for z in (x, other))
            same = (i, c) in {(0, 0), (0, 1)}
            want = (x[i, c] * 255).numpy() if same else naive_match(*pair)
            np.testing.assert_allclose(got[i, c].numpy(), want, atol=2e-3)


def test_a_matched_picture_has_the_references_histogram():
    """Pixels that are all different can follow any distribution, but for the gaps between its levels."""
    g = torch.Generator().manual_seed(1)
    x = torch.randperm(256, generator=g).view(1, 1, 16, 16).expand(1, 3, 16, 16) / 255
    other = torch.randint(0, 256, (1, 3, 16, 16), generator=g) / 255
    got = match_histogram(x, other)
    gap = got.flatten(2).sort().values - other.flatten(2).sort().values
    assert gap.abs().mean() < 1 / 255
    torch.testing.assert_close(match_histogram(other, other), other)


def test_histogram_blend_is_between_half_and_all_at_the_end(images):
    shift = get({"name": "histogram_match", "references": "spectral"})
    draws = Draws(0).spawn("histogram_match")
    matched = match_histogram(images.x, spectral(images.ids, draws.spawn("references"), (32, 32)))
    for severity in (1, 5):
        moved = shift(images, severity, Draws(0)).x - images.x
        share = (moved * (matched - images.x)).sum((1, 2, 3)) / (matched - images.x).square().sum((1, 2, 3))
        torch.testing.assert_close(moved, share.view(-1, 1, 1, 1) * (matched - images.x), atol=1e-5, rtol=0)
        share = share * 5 / severity
        assert 0.5 - 1e-4 <= share.min() < 0.6
        assert 0.9 < share.max() <= 1 + 1e-4


def test_statistics_become_the_references(images):
    lab, other = to_lab(images.x[:8]), to_lab(images.x[20:28])
    got = match_statistics(lab, other).double().numpy()
    for i in range(8):
        for c in range(3):
            f, r = lab[i, c].double().numpy(), other[i, c].double().numpy()
            want = r.std() * (f - f.mean()) / f.std() + r.mean()
            np.testing.assert_allclose(got[i, c], want, atol=1e-2)
    grey = torch.full((1, 3, 8, 8), 0.5) + torch.linspace(-1e-3, 1e-3, 64).view(1, 1, 8, 8)
    out = match_statistics(to_lab(grey), other[:1])  # flat: moved, its rounding errors not stretched
    assert (out - other[:1].mean((2, 3), keepdim=True)).abs().max() < 0.2 * other[:1].std((2, 3)).max()
    torch.testing.assert_close(match_statistics(lab, lab), lab, atol=1e-4, rtol=0)


def test_adain_pixel_blends_in_lab(images):
    batch = images.take(range(4))
    draws = Draws(1).spawn("adain_pixel")
    lab = to_lab(batch.x)
    target = match_statistics(lab, to_lab(spectral(batch.ids, draws.spawn("references"), (32, 32))))
    blend = 0.3 + 0.7 * draws.uniform(batch.ids, (1, 1, 1), "blend")
    for severity in (2, 5):
        got = get({"name": "adain_pixel", "references": "spectral"})(batch, severity, Draws(1)).x
        want = to_srgb(lab + blend * severity / 5 * (target - lab))
        torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_one_picture_alone_in_its_batch(train):
    """What a reference depends on is no batch mate: a batch of one works."""
    one = Batch(pictures(1, 16), torch.tensor([0]), torch.tensor([3]))
    for name in NAMES:
        assert ready(name, "train", train)(one, 3, Draws(0)).x.shape == one.x.shape
