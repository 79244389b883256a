"""The table of a training set's retrieved neighbours, built once (METHODS section 5.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tether.data import Examples, Pool
from tether.data.bundle import fingerprint
from tether.data.once import once
from tether.errors import RequestError
from tether.files import cache_dir, read_json, write_json
from tether.shifts.draws import Draws
from tether.shifts.retrieved import screen
from tether.shifts.retrieved.embeddings import Floats, unit_embeddings
from tether.shifts.retrieved.mmr import NONE, choose
from tether.shifts.retrieved.search import top
from tether.shifts.supplies import Supplies

Ints = NDArray[np.int64]
RECIPE = 1  # raise it when neighbours are found in another way


@dataclass(frozen=True)
class Rules:
    """The numbers of METHODS 5.4: see `retrieved` for each."""

    n: int = 50
    m: int = 4
    lam: float = 0.7
    cap: int = 3
    near: float = 0.95
    band: tuple[float, float] = (20.0, 80.0)


@dataclass(frozen=True)
class Neighbours:
    """What was found.

    Attributes:
        rows: positions in the pool, (N, m), in each row from the most to the least similar, then -1.
        cosines: of sample and item, (N, m); 0 where there is none.
        counts: what became of the pool's items and of the samples, in words and numbers.
    """

    rows: Ints
    cosines: Floats
    counts: Mapping[str, float]


def neighbours(pool: Pool, supplies: Supplies, rules: Rules, batch_size: int) -> Neighbours:
    """Find them, or read what an earlier call with the same content found.

    Raises:
        RequestError: when nothing of the pool may be retrieved, with the count of each reason.
    """
    sets = {"train": supplies.train, **supplies.held_out}
    about = (
        RECIPE, pool.fingerprint, supplies.model_fingerprint or supplies.fingerprint,
        fingerprint(supplies.groups, sets), sorted(supplies.held_out), asdict(rules),
    )  # fmt: skip
    name = hashlib.blake2b(repr(about).encode(), digest_size=16).hexdigest()

    def build(part: Path) -> None:
        found = find(pool, supplies, rules, batch_size)
        part.mkdir()
        np.save(part / "rows.npy", found.rows, allow_pickle=False)
        np.save(part / "cosines.npy", found.cosines, allow_pickle=False)
        write_json(part / "counts.json", dict(found.counts))

    folder = once(cache_dir() / "retrieved" / name, build)
    return Neighbours(
        np.load(folder / "rows.npy", allow_pickle=False),
        np.load(folder / "cosines.npy", allow_pickle=False),
        read_json(folder / "counts.json"),
    )


def find(pool: Pool, supplies: Supplies, rules: Rules, batch_size: int) -> Neighbours:
    """The five steps in their order, from the pool to up to m neighbours for each training sample.

    Raises:
        RequestError: as `neighbours`.
    """
    model = supplies.model_fingerprint or supplies.fingerprint

    def embedded(examples: Examples, what: str) -> Floats:
        return unit_embeddings(examples, supplies.embed, model, batch_size, what)

    counts: dict[str, float] = {"pool": len(pool.examples)}
    held = list(supplies.held_out.values())
    digests = pool.examples.digests
    kept = np.arange(len(digests))

    def drop(mask: NDArray[np.bool_], why: str) -> None:
        nonlocal kept
        counts[why] = int(mask.sum())
        kept = kept[~mask]

    # What costs no embedding goes first; the order does not change what is left.
    drop(screen.repeated(digests), "repeated in the pool")
    drop(
        screen.exact(digests[kept], [s.digests for s in (supplies.train, *held)]),
        "the same as a training or held-out sample",
    )
    domains = pool.examples.groups
    if domains is not None:
        closed = {n.partition("/")[2] for n in supplies.held_out if n.startswith("ood_")}
        drop(screen.tagged(domains[kept], pool.domains, closed), "of a held-out domain")
    vectors = embedded(pool.examples, "the pool")  # all of it: other data then find it in the cache
    others = [embedded(s, name) for name, s in supplies.held_out.items() if len(s)]
    if others:
        drop(screen.near(vectors[kept], np.concatenate(others), rules.near), "near a held-out sample")
    train = embedded(supplies.train, "the training set")
    if domains is not None and supplies.groups:
        drop(screen.tagged(domains[kept], pool.domains, _own(supplies)), "of a training domain")
    elif len(kept):
        outside, (low, high) = screen.outside_band(vectors[kept], train, rules.band)
        drop(outside, "outside the domain band")
        counts |= {"band from": float(low), "band to": float(high)}
    counts["left"] = len(kept)
    if not len(kept):
        raise RequestError(
            f"retrieved: nothing of the pool may be retrieved ({said(counts)}); give a larger pool, or one "
            "of other domains than the data's"
        )
    return _assign(train, vectors[kept], kept, supplies, rules, counts)


def _own(supplies: Supplies) -> set[str]:
    codes = supplies.train.groups
    return set() if codes is None else {supplies.groups[c] for c in np.unique(codes)}


def _assign(
    train: Floats, vectors: Floats, kept: Ints, supplies: Supplies, rules: Rules, counts: dict[str, float]
) -> Neighbours:
    """Top-n, MMR and the cap; then each sample's items sorted by similarity."""
    cosines, rows = top(train, vectors, rules.n, "neighbours of the training set")
    # Turns by a hash of the sample's id: the same in every run, and no class that a sorted file puts first
    # has the pick of the pool.
    turn = Draws(0).words(torch.from_numpy(supplies.train.ids), (), "turn").numpy()
    order = np.lexsort((supplies.train.ids, turn))
    picked = choose(cosines, rows, vectors, order, rules.m, rules.lam, rules.cap)
    none = picked == NONE
    likeness = np.where(none, -np.inf, np.take_along_axis(cosines, np.maximum(picked, 0), axis=1))
    chosen = np.where(none, NONE, kept[np.take_along_axis(rows, np.maximum(picked, 0), axis=1)])
    by_rank = np.argsort(-likeness, axis=1, kind="stable")
    chosen, likeness = (np.take_along_axis(a, by_rank, axis=1) for a in (chosen, likeness))
    found = chosen != NONE
    counts |= {
        "samples": len(train),
        "samples without a neighbour": int((~found.any(1)).sum()),
        "items used": len(np.unique(chosen[found])),
        "mean similarity": float(likeness[found].mean()) if found.any() else 0.0,
    }
    return Neighbours(chosen, np.where(found, likeness, 0).astype(np.float32), counts)


def said(counts: Mapping[str, float]) -> str:
    """The counts in a line."""
    return ", ".join(
        f"{name} {n:.3f}" if isinstance(n, float) else f"{name} {n}" for name, n in counts.items()
    )
