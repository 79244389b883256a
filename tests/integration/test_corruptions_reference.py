"""The image corruptions against `imagecorruptions-imaug`, on the 20 ImageNet photos that foolbox carries.

For each corruption that both have: how far it moves the pixels, at each severity, and what it costs the
packaged EfficientNet-Lite0. A corruption is picked up by its name, so a new one is compared as soon as it is
registered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tether.batch import Batch
from tether.data.photos import photos
from tether.data.weights import weights
from tether.models import efficientnet
from tether.shifts import SEVERITIES, Draws, all_shifts, get
from tether.shifts.image.glass import glass_blur

pytestmark = pytest.mark.integration
Picture = NDArray[np.uint8]

# Its frost pictures are data files; ours is procedural, has another name and is compared with nothing.
WITHOUT_COUNTERPART = {"frost"}
FIXED = {
    "defocus_blur", "zoom_blur", "gaussian_blur", "brightness", "contrast", "saturate", "pixelate",
    "jpeg_compression",
}  # fmt: skip
# Pillow's own results are bytes; all others are cut down to bytes in the reference's last line.
ROUNDED = {"pixelate", "jpeg_compression"}
# Severities at which the network looks at its 20 photos, which takes most of the time. Without noise the
# pictures are nearly the same ones, and one look is enough.
JUDGED, JUDGED_FIXED = (3, 5), (3,)
FEW = 10  # photos whose pixels are compared


@dataclass(frozen=True)
class Tolerance:
    """What counts as agreement.

    Attributes:
        distance: of the mean absolute difference to the clean photo, relative, or 0.2 levels.
        accuracy: of the share of photos classified correctly.
        confidence: of the mean probability of the true class.
    """

    distance: float
    accuracy: float
    confidence: float


SAME = Tolerance(0.02, 0.05, 0.02)
# Another draw of the noise: over 10 photos a smooth random field moves the mean by several per cent.
SIMILAR = Tolerance(0.1, 0.15, 0.06)


def reference(name: str) -> Callable[[Picture, int, int], Picture]:
    """The reference's corruption of one photo, (H, W, 3) bytes, at a severity and with a seed."""
    import imagecorruptions

    def packaged(image: Picture, severity: int, seed: int) -> Picture:
        np.random.seed(seed)
        own = {"seed": seed} if name in ("impulse_noise", "glass_blur") else {}
        out: Picture = imagecorruptions.corrupt(image, severity, corruption_name=name, **own)
        return out

    return published_elastic if name == "elastic_transform" else packaged


def published_elastic(image: Picture, severity: int, seed: int) -> Picture:
    """ImageNet-C's elastic transform by METHODS 5.1, with OpenCV and scikit-image.

    The package has another one under this name: no affine map, one smoothing for all severities.
    """
    import cv2
    from scipy.ndimage import map_coordinates
    from skimage.filters import gaussian

    rows = [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)]
    alpha, sigma, jitter = (244 * c for c in rows[severity - 1])
    rng, (high, wide) = np.random.default_rng(seed), image.shape[:2]
    third, a, b = min(high, wide) // 3, high // 2, wide // 2
    still = np.float32([[a + third, b + third], [a + third, b - third], [a - third, b - third]])
    moved = (still + rng.uniform(-jitter, jitter, (3, 2))).astype(np.float32)
    matrix = cv2.getAffineTransform(still, moved)
    bent = cv2.warpAffine(image / 255.0, matrix, (wide, high), borderMode=cv2.BORDER_REFLECT_101)
    noise = rng.uniform(-1, 1, (2, high, wide))
    dx, dy = (gaussian(n, sigma, mode="reflect", truncate=3) * alpha for n in noise)
    y, x = np.mgrid[:high, :wide]
    planes = [map_coordinates(bent[..., c], [y + dy, x + dx], order=1, mode="reflect") for c in range(3)]
    return (np.stack(planes, -1).clip(0, 1) * 255).astype(np.uint8)


def names() -> list[str]:
    import imagecorruptions

    ours = {s.name for s in all_shifts() if s.modality == "image"}
    return [n for n in imagecorruptions.get_corruption_names("all") if n in ours]


@pytest.fixture(scope="module")
def clean() -> tuple[Tensor, Tensor]:
    return photos(224)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    from safetensors.torch import load_file

    built = efficientnet.build(classes=1000, weights=load_file(weights("efficientnet-lite0")))
    return built.to(memory_format=torch.channels_last)  # twice as fast on a CPU


def judged(network: nn.Module, x: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy, and the mean probability of the true class, for bytes (B, 3, H, W)."""
    inputs = (x / 255 - efficientnet.MEAN) / efficientnet.STD
    with torch.no_grad():
        p = network(inputs.contiguous(memory_format=torch.channels_last)).softmax(1)
    own = p.gather(1, labels[:, None])[:, 0]
    return (p.argmax(1) == labels).float().mean().item(), own.mean().item()


def ours(name: str, x: Tensor, severity: int, seed: int) -> Tensor:
    """Our corruption as bytes in the reference's manner, float (B, 3, H, W) of 0..255."""
    ids = torch.arange(len(x))
    # The published glass blur copies the neighbour where it means to exchange; ours does so when asked.
    shift = glass_blur(exact=True) if name == "glass_blur" else get(name)
    out = shift(Batch(x, torch.zeros_like(ids), ids), severity, Draws(seed)).x
    assert isinstance(out, Tensor)
    return (out * 255).round() if name in ROUNDED else (out * 255 + 1e-3).floor()


def theirs(name: str, x: Tensor, severity: int, seed: int) -> Tensor:
    corrupt = reference(name)
    pictures = (x * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    out = np.stack([corrupt(image, severity, seed + i) for i, image in enumerate(pictures)])
    return torch.from_numpy(out).permute(0, 3, 1, 2).float()


def test_the_network_knows_the_clean_photos(clean: tuple[Tensor, Tensor], network: nn.Module) -> None:
    """Else the comparison of accuracies would compare guesses."""
    x, labels = clean
    assert x.shape == (20, 3, 224, 224)
    accuracy, confidence = judged(network, (x * 255).round(), labels)
    assert accuracy >= 0.8
    assert confidence > 0.6


def test_what_has_no_counterpart_is_known() -> None:
    import imagecorruptions

    missing = set(imagecorruptions.get_corruption_names("all")) - set(names())
    assert missing == WITHOUT_COUNTERPART


@pytest.mark.parametrize("name", names())
def test_agrees_with_the_reference(name: str, clean: tuple[Tensor, Tensor], network: nn.Module) -> None:
    x, labels = clean
    allowed = SAME if name in FIXED else SIMILAR
    looks = JUDGED_FIXED if name in FIXED else JUDGED
    pixels, found = (x * 255).round(), []
    for severity in SEVERITIES:
        n = len(x) if severity in looks else FEW
        pair = ours(name, x[:n], severity, seed=severity), theirs(name, x[:n], severity, seed=100 * severity)
        mine, other = ((p - pixels[:n]).abs().mean().item() for p in pair)
        assert mine == pytest.approx(other, rel=allowed.distance, abs=0.2), f"distance at severity {severity}"
        if severity in looks:
            found.append([judged(network, p, labels) for p in pair])
    (accuracy, confidence), (their_accuracy, their_confidence) = np.mean(found, axis=0)
    assert accuracy == pytest.approx(their_accuracy, abs=allowed.accuracy)
    assert confidence == pytest.approx(their_confidence, abs=allowed.confidence)
