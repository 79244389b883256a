"""The `anchor` teacher head: how near a sample lies to fixed points in the initial model's space."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from tether.batch import Output
from tether.data.once import once
from tether.errors import RequestError
from tether.files import cache_dir
from tether.objective.divergences import Direction, distillation
from tether.objective.robustness import TeacherHead
from tether.progress import bar
from tether.shifts.supplies import Supplies

VERSION = 1  # raise when the recipe of the anchors changes, so that cached ones are not used
READ = 20_000  # training samples that the centroids are fitted to, at most


def similarities(features: Tensor, anchors: Tensor, tau: float = 0.05) -> Tensor:
    """Logits of q(x) = softmax_j(norm(phi) . a_j / tau), (B, J), of features (B, D) and anchors (J, D).

    Example:
        >>> similarities(torch.tensor([[2.0, 0.0]]), torch.eye(2), tau=0.5).tolist()
        [[2.0, 0.0]]
    """
    return F.normalize(features.float(), dim=-1) @ anchors.to(features.device).T / tau


def to_anchors(count: int = 512, tau: float = 0.05, direction: Direction = "forward") -> TeacherHead:
    """KL between the two models' similarity distributions over J = min(count, N) anchors (METHODS 1.2).

    The anchors come from the initial model and stay: a student must keep where samples lie, not only how
    they lie to each other. They need no labels and no head.

    Args:
        count: the most anchors.
        tau: temperature of the similarities, the same for both models.
        direction: as of `distillation`.
    """

    def unready(student: Output, target: Output) -> Tensor:
        raise RequestError("anchors: expected a term that is prepared; call .prepared(supplies) first")

    def prepare(supplies: Supplies) -> TeacherHead:
        anchors = centroids(supplies, count).to(supplies.device)

        def compare(student: Output, target: Output) -> Tensor:
            s = similarities(student.features, anchors, tau)
            return distillation(s, similarities(target.features, anchors, tau), 1.0, direction)

        return TeacherHead(compare)

    return TeacherHead(unready, prepare=prepare)


def centroids(supplies: Supplies, count: int) -> Tensor:
    """K-means centroids of norm(phi_0) on the training inputs, as unit vectors (J, D), from the cache.

    J is at most `count` and the number of different inputs. Of a large training set every n-th sample is
    read, 20,000 in all.
    """
    parts = [supplies.fingerprint, count, VERSION]
    name = sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def build(part: Path) -> None:
        save_file({"anchors": _fit(_features(supplies), count)}, part)

    found: Tensor = load_file(once(cache_dir() / "anchors" / f"{name}.safetensors", build))["anchors"]
    return found


def _features(supplies: Supplies) -> Tensor:
    rows = range(0, len(supplies.train), -(-len(supplies.train) // READ))
    parts = []
    with bar("anchors: features", len(rows)) as progress:
        for start in range(0, len(rows), 64):
            batch = supplies.train.batch(rows[start : start + 64])
            parts.append(F.normalize(supplies.embed(batch).float(), dim=-1))
            progress.advance(len(batch))
    return torch.cat(parts)


def _fit(features: Tensor, count: int) -> Tensor:
    from sklearn.cluster import KMeans

    known = features.double().numpy()
    count = min(count, len(np.unique(known, axis=0)))
    found = KMeans(count, n_init=1, random_state=0).fit(known).cluster_centers_
    points: Tensor = torch.from_numpy(found).float()
    return F.normalize(points, dim=-1).contiguous()
