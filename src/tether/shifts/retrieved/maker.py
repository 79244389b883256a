"""`retrieved`: a training sample's view is one of its neighbours in an unlabelled pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch
from tether.data import Examples, Pool, read_pool
from tether.errors import RequestError
from tether.progress import say
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.places import places
from tether.shifts.rank_band import ranked
from tether.shifts.recipe import Recipe
from tether.shifts.retrieved.mmr import NONE
from tether.shifts.retrieved.neighbours import Neighbours, Rules, neighbours, said
from tether.shifts.retrieved.search import check_faiss
from tether.shifts.shift import Shift, modality_in, modality_of
from tether.shifts.supplies import Supplies

_SUMMARY = "a near item of an unlabelled pool; for losses without labels"


def retrieved(
    pool: Any,
    n: int = 50,
    m: int = 4,
    lam: float = 0.7,
    cap: int = 3,
    near: float = 0.95,
    band: tuple[float, float] = (20.0, 80.0),
    batch_size: int = 128,
) -> Recipe:
    """Views from a pool (METHODS 5.4). They have no label: y is -100 where a sample was replaced.

    A sample without a neighbour stays as it is; the number is said when the shift is built.
    Severity is a band of ranks among a sample's neighbours: 1 the nearer half, 5 the farther half.

    Args:
        pool: where unlabelled samples come from, see `tether.data.read_pool`.
        n: candidates a sample, its nearest in the pool.
        m: neighbours a sample is given out of them.
        lam: weight of similarity against variety in that choice.
        cap: samples that one item may serve.
        near: cosine from which an item counts as a duplicate of a validation or test sample.
        band: percentiles between which an item's similarity to its nearest training sample must lie; used
            where the pool or the data have no domain tags.
        batch_size: samples a forward pass when embedding.

    Raises:
        RequestError: a number out of its range, or faiss is missing. From `build`: a pool that cannot be
            read, of another modality, or of which nothing may be retrieved.

    Example:
        >>> retrieved(pool=["a text", "another"], m=2).family  # doctest: +SKIP
        'retrieved'
    """
    ranges = {
        "n": (n, 1, 10_000), "m": (m, 1, n), "lam": (lam, 0, 1), "cap": (cap, 1, 1_000_000),
        "near": (near, -1, 1), "batch_size": (batch_size, 1, 100_000), "band": (band[0], 0, band[1]),
    }  # fmt: skip
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise RequestError(f"shift.{key}: retrieved expects {low} to {high}, got {value}; choose one")
    if band[1] > 100:
        raise RequestError(f"shift.band: retrieved expects percentiles up to 100, got {band[1]}; lower it")
    check_faiss()
    rules = Rules(n, m, lam, cap, near, band)

    def build(supplies: Supplies) -> Shift:
        sample = supplies.train.batch([0])
        kind = modality_of(sample)
        found = read_pool(pool)
        if isinstance(sample.x, Tensor):
            found = found.at(sample.x.shape[-1])
        if (held := modality_in(found.examples)) != kind:
            raise RequestError(
                f"retrieved: expected a pool of {kind}s, as the data are, got {held}s; name another pool"
            )
        if found.skipped:
            say(f"note: retrieved: {found.skipped} unreadable items of the pool were left out")
        table = neighbours(found, supplies, rules, batch_size)
        say(f"retrieved: {said(table.counts)}")
        view = shown(found, table, supplies.train)
        return Shift("retrieved", "retrieved", kind, _SUMMARY, view, label_preserving=False, default=False)

    return Recipe("retrieved", "retrieved", None, _SUMMARY, build, label_preserving=False)


def shown(pool: Pool, table: Neighbours, train: Examples) -> Any:
    """(batch, severity, draws) -> the batch with each sample replaced by one of its neighbours."""
    rows = torch.from_numpy(table.rows)
    counts = (rows != NONE).sum(1)
    where = places(train, "retrieved")

    def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
        at = where(batch.ids)
        have = (counts[at] > 0).nonzero().squeeze(1)
        if not len(have):
            return batch
        at, ids = at[have], batch.ids.cpu()[have]
        rank = ranked(severity, draws.uniform(ids, (), "neighbour"), counts[at])
        items = pool.examples.batch(rows[at, rank].numpy()).x
        y = batch.y.clone()
        y[have] = -100
        if isinstance(batch.x, Tensor) and isinstance(items, Tensor):
            if items.shape[1:] != batch.x.shape[1:]:
                raise RequestError(
                    f"retrieved: expected pictures of {tuple(items.shape[1:])}, the size that training had "
                    f"when the shift was built, got {tuple(batch.x.shape[1:])}; build it again"
                )
            x = batch.x.detach().clone()
            x[have.to(x.device)] = items.to(x.device, x.dtype)
            return replace(batch, x=x, y=y)
        texts = list(batch.x)
        for place, text in zip(have.tolist(), items, strict=True):
            texts[place] = str(text)
        return replace(batch, x=tuple(texts), y=y)

    return apply


MAKERS = (Maker("retrieved", "retrieved", None, _SUMMARY, retrieved),)
