"""What every shift promises, METHODS section 8 item 10."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tether.batch import Batch, concatenate
from tether.errors import RequestError
from tether.shifts import SEVERITIES, Draws, Shift, all_shifts, get, on_pixels

IMAGE = [s.name for s in all_shifts() if s.modality == "image"]
TEXT = [s.name for s in all_shifts() if s.modality == "text"]
ALL = IMAGE + TEXT


@pytest.fixture
def batch(request, images, texts) -> Batch:
    return images if request.node.callspec.params["name"] in IMAGE else texts


def same(a: Batch, b: Batch) -> bool:
    if isinstance(a.x, tuple):
        return a.x == b.x
    return torch.allclose(a.x, b.x, rtol=0, atol=2e-6)  # matrix products may round by batch size


@pytest.mark.parametrize("name", ALL)
def test_severity_0_is_the_identity(name, batch):
    assert get(name)(batch, 0, Draws(0)) is batch


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_output_and_batch_does_not_matter(name, batch):
    shift = get(name)
    once = shift(batch, 4, Draws(5, step=2))
    assert same(shift(batch, 4, Draws(5, step=2)), once)
    rows = list(range(len(batch)))[::-1][:11]
    assert same(shift(batch.take(rows), 4, Draws(5, step=2)), once.take(rows))
    assert same(shift(batch.take([3]), 4, Draws(5, step=2)), once.take([3]))


@pytest.mark.parametrize("name", ALL)
def test_seed_and_step_matter_unless_the_shift_is_fixed(name, batch):
    fixed = {
        "defocus_blur",
        "gaussian_blur",
        "zoom_blur",
        "brightness",
        "contrast",
        "saturate",
        "pixelate",
        "jpeg_compression",
        "grayscale",
        "posterise",
        "sketch",
    }
    shift = get(name)
    # A rule that applies once in a text does so for sure at severity 5, and now and then at severity 2.
    severities = (5,) if name in IMAGE else (2, 5)
    draws = (Draws(0), Draws(1), Draws(0, step=1))
    outs = [concatenate([shift(batch, s, d) for s in severities]) for d in draws]
    assert same(outs[0], outs[1]) == same(outs[0], outs[2]) == (name in fixed)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ALL)
def test_labels_ids_groups_kept_and_something_changed(name, severity, batch):
    out = get(name)(batch, severity, Draws(0))
    assert torch.equal(out.y, batch.y)
    assert torch.equal(out.ids, batch.ids)
    assert (out.group is None) == (batch.group is None)
    assert len(out) == len(batch)
    if name in IMAGE or severity >= 3:
        assert not same(out, batch)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", IMAGE)
def test_shape_dtype_range_kept(name, dtype, images):
    wide = images.x[:4, :, :20, :].to(dtype)  # not square
    batch = replace(images.take(range(4)), x=wide)
    for severity in (1, 5):
        out = get(name)(batch, severity, Draws(0)).x
        assert (out.shape, out.dtype, out.device) == (wide.shape, dtype, wide.device)
        assert out.min() >= 0
        assert out.max() <= 1
    assert torch.equal(batch.x, images.x[:4, :, :20, :].to(dtype))  # the clean batch is untouched


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize(
    "name",
    [
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "speckle_noise",
        "defocus_blur",
        "gaussian_blur",
        "motion_blur",
        "zoom_blur",
        "brightness",
        "contrast",
        "pixelate",
        "jpeg_compression",
    ],
)
def test_distance_grows_with_severity(name, size, images):
    small = images if size < 224 else images.take(range(8))
    x = torch.nn.functional.interpolate(small.x, size=size, mode="bilinear") if size != 32 else small.x
    batch = replace(small, x=x)
    distance = [(get(name)(batch, s, Draws(0)).x - x).abs().mean().item() for s in SEVERITIES]
    assert distance == sorted(distance)
    assert distance[0] < distance[-1]


def test_noise_pattern_is_shared_by_severities(images):
    grey = replace(images, x=torch.full_like(images.x, 0.5))
    one, two = (get("gaussian_noise")(grey, s, Draws(0)).x - 0.5 for s in (1, 2))
    torch.testing.assert_close(one / 0.04, two / 0.06, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("severity", [-1, 6, 2.5, "3", True])
def test_other_severities_are_refused(severity, images):
    with pytest.raises(RequestError, match="severity of 1 to 5"):
        get("contrast")(images, severity, Draws(0))


def test_wrong_batches_are_refused(images, texts):
    with pytest.raises(RequestError, match="batch of images, got text"):
        get("contrast")(texts, 1, Draws(0))
    with pytest.raises(RequestError, match="batch of texts, got image"):
        get("typos")(images, 1, Draws(0))
    with pytest.raises(RequestError, match="raw batch"):
        get("contrast")(replace(images, space="vit"), 1, Draws(0))
    for x, message in [
        (images.x * 4 - 2, "before normalising"),
        (images.x * float("nan"), "before normalising"),
        ((images.x * 255).byte(), "float pixels"),
        (images.x[:, :1], "float pixels"),
        (images.x[..., :5], "at least 8 px"),
    ]:
        with pytest.raises(RequestError, match=message):
            get("contrast")(replace(images, x=x), 1, Draws(0))


def test_an_empty_batch_passes(images, texts):
    assert len(get("jpeg_compression")(images.take([]), 3, Draws(0))) == 0
    assert len(get("typos")(texts.take([]), 3, Draws(0))) == 0


def test_a_shift_of_ones_own(images):
    dim = Shift("dim", "mine", "image", "less light", on_pixels(lambda x, s, ids, d: x * (1 - s / 10)))
    assert torch.equal(dim(images, 5, Draws(0)).x, images.x * 0.5)
