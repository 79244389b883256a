"""PixMix, RandAugment and Cutout: their formulas by plain loops, and what every shift promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts import SEVERITIES, Draws, default_names, get, role_of
from tether.shifts.image import augmix as am
from tether.shifts.image import pixmix as px
from tether.shifts.image import randaugment as ra
from tether.shifts.image.cutout import SIDES
from tether.shifts.image.levels import posterize
from tether.shifts.image.textures import pick, textures

SPECS = {
    "pixmix": {"name": "pixmix", "textures": 8},
    "randaugment": {"name": "randaugment"},
    "cutout": {"name": "cutout"},
    "cutout noise": {"name": "cutout", "fill": "noise"},
}


@pytest.fixture(params=SPECS)
def shift(request):
    return get(SPECS[request.param])


def test_severity_0_is_the_identity(shift, images):
    assert shift(images, 0, Draws(0)) is images


def test_same_seed_same_output_and_batch_does_not_matter(shift, images):
    once = shift(images, 4, Draws(5, step=2))
    assert torch.equal(shift(images, 4, Draws(5, step=2)).x, once.x)
    rows = list(range(64))[::-1][:11]
    for some in (rows, [3]):
        torch.testing.assert_close(
            shift(images.take(some), 4, Draws(5, step=2)).x, once.x[some], rtol=0, atol=2e-6
        )
    for other in (Draws(6, step=2), Draws(5, step=3)):
        assert (shift(images, 4, other).x - once.x).abs().mean() > 1e-3
    assert torch.equal(once.y, images.y)
    assert torch.equal(once.ids, images.ids)
    assert torch.equal(once.group, images.group)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_dtype_range_kept(shift, dtype, images):
    wide = images.x[:6, :, :20, :].to(dtype)
    batch = replace(images.take(range(6)), x=wide.clone())
    for severity in SEVERITIES:
        out = shift(batch, severity, Draws(0)).x
        assert (out.shape, out.dtype, out.device) == (wide.shape, dtype, wide.device)
        assert torch.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1
        assert not torch.equal(out, wide)
    assert torch.equal(batch.x, wide)
    assert len(shift(batch.take([]), 3, Draws(0))) == 0


def test_they_are_for_training_and_change_no_default():
    for name in ("pixmix", "randaugment", "cutout", "mixup", "cutmix"):
        assert role_of(get(name)) == "train"
        assert not get(name).default
    assert default_names("train", "image") == ("augmix", "geometry", "tone")
    for modality in ("image", "text"):  # a mixture of unnamed shifts is never refused for want of labels
        assert all(get(n).label_preserving for n in default_names("train", modality))


def naive_pixmix(x, severity, row, draws, texture, rounds, b):
    """One image (3, H, W) in numpy, round by round, from the same draws."""
    slots = rounds + 1
    u = draws.uniform(row, (rounds, 3), "mix")[0].double().numpy()

    def augmented(slot):
        k = draws.integers(row, 0, 9, (slots,), "operation")[:, slot]
        level = 0.1 + draws.uniform(row, (slots,), "level")[:, slot] * (severity - 0.1)
        sign = draws.integers(row, 0, 2, (slots,), "sign")[:, slot] * 2.0 - 1.0
        return am.operate(torch.tensor(x)[None], k, level, sign)[0].numpy()

    own = draws.uniform(row, (slots,), "own")[0] < 0.5
    out = augmented(0) if own[0] else x
    for k in range(int(draws.integers(row, 0, rounds + 1, (), "rounds"))):
        other = augmented(k + 1) if own[k + 1] else texture
        small = 1 - (1 - u[k, 2]) ** (1 / b)  # Beta(1, b)
        if u[k, 0] < 0.5:
            a, c = u[k, 1] ** (1 / b), small  # Beta(b, 1)
        else:
            a, c = 1 + 1 - (1 - u[k, 1]) ** (1 / b), -small
        if draws.uniform(row, (rounds,), "add")[0, k] < 0.5:
            out = (a * (out * 2 - 1) + c * (other * 2 - 1) + 1) / 2
        else:
            out = (out * 2) ** a * np.maximum(other * 2, 1e-37) ** c / 2
        out = np.clip(out, 0, 1)
    return out


@pytest.mark.parametrize(("severity", "rounds", "b"), [(1, 4, 4.0), (3, 4, 3.0), (5, 6, 1.5)])
def test_pixmix_is_its_formula(images, severity, rounds, b):
    draws = Draws(7, step=1)
    texture = pick(textures(8, 64), images.ids, draws, 32, 32)
    texture[:, :, :4] = 0  # black: the floor of negative powers
    got = px.pixmix(images.x, severity, images.ids, draws, texture, rounds, b)
    for i in range(64):
        want = naive_pixmix(
            images.x[i].numpy(), severity, images.ids[i : i + 1], draws, texture[i].numpy(), rounds, b
        )
        # Where a picture is nearly black and raised to a power, float32 and numpy's double part a little.
        np.testing.assert_allclose(got[i].numpy(), want, atol=2e-4)


def test_pixmix_by_hand():
    u, v = torch.full((2, 3, 1, 1), 0.75), torch.full((2, 3, 1, 1), 0.25)
    a, c = torch.tensor([0.5, 2.0]), torch.tensor([0.5, -1.0])
    added = px.mix(u, v, a, c, torch.tensor([True, True]))[:, 0, 0, 0]
    assert added.tolist() == [0.5, 1.0]  # .5(.5) - .5(.5) = 0 -> .5; 2(.5) + .5 = 1.5 -> 1.25 -> clipped
    times = px.mix(u, v, a, c, torch.tensor([False, False]))[:, 0, 0, 0]
    torch.testing.assert_close(times, torch.tensor([(1.5 * 0.5) ** 0.5 / 2, 1.0]))  # 1.5^2 / .5 / 2 = 2.25


def test_pixmix_coefficients_have_their_moments():
    a, c = px.coefficients(Draws(0).uniform(torch.arange(20000), (3,), "u"), 3.0)
    towards = c >= 0
    assert abs(towards.float().mean().item() - 0.5) < 4.5 * 0.5 / 20000**0.5
    assert a[towards].mean().item() == pytest.approx(3 / 4, abs=0.01)
    assert c[towards].mean().item() == pytest.approx(1 / 4, abs=0.01)
    assert a[~towards].mean().item() == pytest.approx(5 / 4, abs=0.01)
    assert c[~towards].mean().item() == pytest.approx(-1 / 4, abs=0.01)


def test_pixmix_mixes_more_with_a_smaller_beta_and_takes_options(images):
    def moved(**options):
        spec = {"name": "pixmix", "textures": 8, **options}
        return (get(spec)(images, 3, Draws(0)).x - images.x).abs().mean()

    assert moved(beta=30.0) < moved(beta=3.0) == moved()
    assert moved(rounds=1) < moved(rounds=4)
    assert moved(texture_seed=1) != moved()
    for wrong, message in [
        ({"beta": 0.0}, "positive"),
        ({"rounds": 0}, "round"),
        ({"textures": 0}, "texture"),
    ]:
        with pytest.raises(RequestError, match=message):
            get({"name": "pixmix", **wrong})
    with pytest.raises(RequestError, match="no such option"):
        get({"name": "pixmix", "depth": 1})


@pytest.mark.parametrize("severity", [1, 4, 5])
def test_randaugment_is_its_operations_in_turn(images, severity):
    draws, m = Draws(3).spawn("randaugment"), 2.0 * severity
    got = get({"name": "randaugment", "operations": 3})(images, severity, Draws(3)).x
    seen = set()
    for i in range(64):
        row, x = images.ids[i : i + 1], images.x[i : i + 1]
        kinds = draws.integers(row, 0, 10, (3,), "operation")[0].tolist()
        signs = draws.integers(row, 0, 2, (3,), "sign")[0].tolist()
        for k, s in zip(kinds, signs, strict=True):
            seen.add(k)
            if k == ra.IDENTITY:
                continue
            if am.OPERATIONS[k] == "posterize":
                x = posterize(x, torch.tensor([8 - int(severity * 0.8)]))
            else:
                x = am.operate(x, torch.tensor([k]), torch.tensor([m]), torch.tensor([2.0 * s - 1]))
        torch.testing.assert_close(got[i : i + 1], x, atol=3e-5, rtol=0)
    assert seen == set(range(10))
    with pytest.raises(RequestError, match="at least 1"):
        get({"name": "randaugment", "operations": 0})


def test_randaugment_has_no_operation_that_is_tested_on():
    tested = {"brightness", "contrast", "sharpness", "color", "colour", "saturate", "blur"}
    assert not tested & set(am.OPERATIONS)
    assert am.OPERATIONS[ra._POSTERIZE] == "posterize"


@pytest.mark.parametrize("severity", SEVERITIES)
def test_cutout_hides_a_square_about_its_point(severity):
    x = torch.rand(50, 3, 24, 40, generator=torch.Generator().manual_seed(0)) * 0.4
    batch = Batch(x, torch.zeros(50).long(), torch.arange(50))
    out = get({"name": "cutout", "fill": "grey"})(batch, severity, Draws(1)).x
    side = round(24 * SIDES[severity - 1])
    centres = Draws(1).spawn("cutout").uniform(batch.ids, (2,), "centre")
    for i in range(50):
        want = x[i].clone()
        top = int(centres[i, 0] * 24) - side // 2
        left = int(centres[i, 1] * 40) - side // 2
        for r in range(max(top, 0), min(top + side, 24)):
            for c in range(max(left, 0), min(left + side, 40)):
                want[:, r, c] = 0.5
        assert torch.equal(out[i], want)
    assert (out == 0.5).float().mean().item() <= side**2 / (24 * 40) + 1e-6


def test_cutout_fills(images):
    outs = {
        f: get({"name": "cutout", "fill": f})(images, 5, Draws(0)).x
        for f in ("grey", "black", "mean", "noise")
    }
    hidden = (outs["grey"] == 0.5).all(1) & (outs["black"] == 0).all(1)  # (64, 32, 32)
    assert hidden.flatten(1).any(1).all()
    for i in range(64):
        mean = images.x[i].mean((1, 2))
        torch.testing.assert_close(
            outs["mean"][i][:, hidden[i]], mean[:, None].expand(3, int(hidden[i].sum())), atol=1e-6, rtol=0
        )
    noise = outs["noise"].permute(0, 2, 3, 1)[hidden]
    assert abs(noise.mean().item() - 0.5) < 0.02
    assert abs(noise.var().item() - 1 / 12) < 0.01
    with pytest.raises(RequestError, match=r"shift\.fill"):
        get({"name": "cutout", "fill": "white"})
