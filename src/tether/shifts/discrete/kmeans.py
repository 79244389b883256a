"""PatchKmeans: a discretiser without a network, small patches replaced by their nearest centroid."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tether.data import Examples
from tether.progress import bar
from tether.shifts.discrete.pictures import pixels
from tether.shifts.discrete.quantiser import by_use, exact, in_slices, nearest, padded, perplexity

PATCH = 4  # px (METHODS 3.5)
CENTROIDS = 1024
_STRIDE = 2  # every pixel is the mean of four patches, so patch borders do not show
_PATCHES = 100_000  # that the centroids are fitted to
_PICTURES = 2000  # that these come from


class PatchKmeans(nn.Module):
    """A Quantiser: 4 x 4 patches every 2 px, each replaced by a centroid, overlaps averaged (METHODS 3.5).

    Args:
        centroids: how many.
    """

    key: str = ""
    name = "patch_kmeans"
    lite = True
    centroids: Tensor
    usage: Tensor

    def __init__(self, centroids: int) -> None:
        super().__init__()
        self.register_buffer("centroids", torch.zeros(centroids, 3 * PATCH**2))
        self.register_buffer("usage", torch.ones(centroids))

    @property
    def perplexity(self) -> float:
        """Centroids used in effect."""
        return perplexity(self.usage)

    def quantise(self, x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
        """As a Quantiser; there are (H/2 - 1) x (W/2 - 1) codes, halves rounded up."""
        ranked = by_use(self.usage)[:most]
        vectors = self.centroids[ranked]

        def work(part: Tensor) -> tuple[Tensor, Tensor]:
            even = padded(part, _STRIDE)
            rows = F.unfold(even, PATCH, stride=_STRIDE).transpose(1, 2)  # (B, L, 48)
            index = ranked[nearest(rows.reshape(-1, rows.shape[2]), vectors)].view(rows.shape[:2])
            out = _overlap_add(self.centroids[index].transpose(1, 2), even)
            high, wide = ((n - PATCH) // _STRIDE + 1 for n in even.shape[2:])
            return out[:, :, : part.shape[2], : part.shape[3]].clamp(0, 1), index.view(-1, high, wide)

        with exact(x.device):
            rec, codes = in_slices(x, work)
        return rec, codes


def _overlap_add(columns: Tensor, like: Tensor) -> Tensor:
    """Patches (B, 48, L) laid where they came from, the mean where they overlap."""
    size = (like.shape[2], like.shape[3])
    total = F.fold(columns, size, PATCH, stride=_STRIDE)
    return total / F.fold(torch.ones_like(columns[:1]), size, PATCH, stride=_STRIDE)


def fit_kmeans(examples: Examples, centroids: int, seed: int) -> PatchKmeans:
    """Centroids of patches at random places of the training pictures, by scikit-learn's MiniBatchKMeans."""
    from sklearn.cluster import MiniBatchKMeans

    patches = _patches(examples, seed)
    found = min(centroids, len(np.unique(patches, axis=0)))
    fitted = MiniBatchKMeans(found, batch_size=4096, n_init=1, max_iter=20, random_state=seed).fit(patches)
    network = PatchKmeans(found)
    network.centroids.copy_(torch.from_numpy(fitted.cluster_centers_).float())
    return network


def _patches(examples: Examples, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = min(len(examples), _PICTURES)
    rows = rng.choice(len(examples), count, replace=False)
    each = -(-_PATCHES // count)
    found = []
    with bar("cutting patches", count) as progress:
        for start in range(0, count, 64):
            x = pixels(examples, rows[start : start + 64])
            windows = x.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (B, 3, H-3, W-3, 4, 4), a view
            n = len(x)
            pick = torch.from_numpy(np.repeat(np.arange(n), each))
            top = torch.from_numpy(rng.integers(0, windows.shape[2], n * each))
            left = torch.from_numpy(rng.integers(0, windows.shape[3], n * each))
            found.append(windows[pick, :, top, left].reshape(n * each, -1).numpy())
            progress.advance(n)
    return np.concatenate(found)[:_PATCHES]
