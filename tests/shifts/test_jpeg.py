"""JPEG as tensor operations against Pillow's encoder and decoder."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tether.shifts.image.jpeg import jpeg, quantisation


def by_pillow(x: torch.Tensor, quality: int) -> torch.Tensor:
    """(B, 3, H, W) in 0..255, through a file in memory."""
    out = []
    for image in x.byte().permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        out.append(np.array(Image.open(file)))
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).float()


def by_tensors(x: torch.Tensor, quality: int) -> torch.Tensor:
    return (jpeg(x / 255, quality) * 255).round().clamp(0, 255)


def photos(clean: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Smooth pictures with edges and a little grain, whole numbers 0..255."""
    x = torch.nn.functional.interpolate(clean, size=size, mode="bilinear")
    grain = torch.rand(x.shape, generator=torch.Generator().manual_seed(size[0])) * 0.08
    return ((x + grain).clamp(0, 1) * 255).round()


SIZES = [(64, 64), (224, 224), (16, 16), (8, 8), (33, 57), (57, 33), (223, 130), (17, 8), (23, 40), (9, 100)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [7, 10, 25, 50, 80])
def test_agrees_with_pillow_at_every_size(quality, size, images):
    """In levels of 255: under 0.75 in the mean (photos: 0.05 to 0.3), and three of four values the same.

    Pillow's library rounds to integers inside the cosine transform, so now and then a coefficient lands on
    the other side of a step. One step shows as a wave of a quarter of it over one block, in chroma times 1.8.
    """
    x = photos(images.x if max(size) < 100 else images.x[:6], size)
    got, want = by_tensors(x, quality), by_pillow(x, quality)
    difference = (got - want).abs()
    assert difference.mean() < 0.75
    assert (difference == 0).float().mean() > 0.75
    assert difference.max() <= 1.8 * quantisation(quality)[1].max() / 4 + 4
    # What remains is small beside the shift itself.
    assert difference.mean() < 0.12 * (want - x).abs().mean()


def test_flat_pictures_are_exact():
    """A block of one colour keeps its mean alone: exactly Pillow's, for every grey, quality and size."""
    greys = torch.arange(256.0).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    for quality in (7, 10, 15, 18, 25, 40, 50, 65, 80):
        assert torch.equal(by_tensors(greys, quality), by_pillow(greys, quality))


def test_chroma_alone_follows_pillow_to_the_level():
    """Colour bars at the best quality: no step is wider than 1, so what is left is colour and its halving."""
    g = torch.Generator().manual_seed(3)
    x = torch.randint(0, 256, (8, 3, 4, 4), generator=g).float()
    x = torch.nn.functional.interpolate(x, size=(64, 64), mode="nearest")
    difference = (by_tensors(x, 100) - by_pillow(x, 100)).abs()
    assert difference.max() <= 4
    assert difference.mean() < 0.5


@pytest.mark.parametrize("quality", [1, 7, 25, 49, 50, 51, 80, 95, 100])
def test_steps_are_those_that_pillow_writes(quality):
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    written = Image.open(file).quantization
    for steps, number in zip(quantisation(quality), (0, 1), strict=True):
        assert steps.tolist() == list(written[number])


def test_an_image_does_not_depend_on_its_batch(images):
    x = photos(images.x[:5], (40, 24)) / 255
    torch.testing.assert_close(jpeg(x, 15)[2:3], jpeg(x[2:3], 15), atol=1e-6, rtol=0)
