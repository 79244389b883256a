"""Retrieval against naive loops: METHODS 5.4 and section 8, item 11."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tether.batch import NO_LABEL
from tether.data import Pool, from_objects
from tether.data.examples import Examples
from tether.data.reading import Texts
from tether.errors import RequestError
from tether.shifts import Draws, Supplies, get, mixture
from tether.shifts.rank_band import ranked
from tether.shifts.retrieved import embeddings, retrieved
from tether.shifts.retrieved.mmr import choose
from tether.shifts.retrieved.neighbours import Rules, find, neighbours
from tether.shifts.retrieved.screen import outside_band, repeated
from tether.shifts.retrieved.search import top
from tiny import TinyImages

WIDTH = 3


def unit(x) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def named(vectors: np.ndarray, ids=None, groups=None) -> Examples:
    """Texts that spell out a vector, so that `spell` can embed them."""
    texts = [" ".join(repr(float(v)) for v in row) for row in vectors]
    digests = np.array([np.void(hashlib.blake2b(t.encode(), digest_size=16).digest()) for t in texts], "V16")
    n = len(texts)
    return Examples(
        rows=datasets.Dataset(pa.table({"x": pa.array(texts, pa.string())})),
        read=Texts("x"),
        labels=np.zeros(n, np.int64),
        ids=np.arange(n) if ids is None else np.asarray(ids),
        digests=digests.reshape(n),
        groups=groups,
    )


def spell(batch) -> torch.Tensor:
    return torch.tensor([[float(v) for v in text.split()] for text in batch.x]) * 3  # not normalised


def supplies(train, held, **more) -> Supplies:
    return Supplies(train, held, ("a",), "data-and-model", spell, lambda name: None, **more)


def pool_of(vectors, **more) -> Pool:
    return Pool(named(vectors, **more), (), "the pool")


def random_unit(rng, n: int) -> np.ndarray:
    return unit(rng.standard_normal((n, WIDTH)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 60), m=st.integers(1, 4), cap=st.integers(1, 3))
def test_property_11_no_near_duplicate_of_held_out_items(seed, size, m, cap):
    """In three dimensions a cosine of .95 is common; exact and near copies are put in on top."""
    rng = np.random.default_rng(seed)
    train, held = random_unit(rng, 12), random_unit(rng, 9)
    near = unit(held[rng.integers(0, 9, 5)] + 0.02 * rng.standard_normal((5, WIDTH)))
    pool = np.concatenate([random_unit(rng, size), held[:2], near, train[:1]])
    sets = {"id_val": named(held[:4]), "ood_test/x": named(held[4:])}
    rules = Rules(n=10, m=m, cap=cap)
    # Second road: the rules one after the other, item by item, in float64.
    p, h, t = (x.astype(np.float64) for x in (pool, held, train))
    known = {row.tobytes() for row in (*held, *train)}
    clean = [
        i
        for i in range(len(p))
        if pool[i].tobytes() not in known and not any(p[i] @ x > 0.95 - 2e-6 for x in h)
    ]
    nearest = {i: max(p[i] @ x for x in t) for i in clean}
    if clean:
        low, high = np.percentile(list(nearest.values()), [20, 80])
        clean = [i for i in clean if low - 1e-6 <= nearest[i] <= high + 1e-6]
    if not clean:
        with pytest.raises(RequestError, match="nothing of the pool may be retrieved"):
            find(pool_of(pool), supplies(named(train), sets), rules, 7)
        return
    found = find(pool_of(pool), supplies(named(train), sets), rules, 7)
    used = found.rows[found.rows >= 0]
    assert set(used.tolist()) <= set(clean)
    assert all(p[i] @ x <= 0.95 for i in used for x in h)
    assert np.bincount(used).max() <= cap
    for row in found.rows:
        row = row[row >= 0]
        assert len(set(row.tolist())) == len(row)
    # Only where every query reaches every item: else the last ones may find their n nearest used up.
    if len(clean) <= rules.n and cap * len(clean) >= len(train):
        assert used.size >= min(len(clean) * cap, len(train))


def naive_mmr(cosines, rows, base, order, m, lam, cap) -> list[list[int]]:
    uses, sets = dict.fromkeys(range(len(base)), 0), [[] for _ in rows]
    for _ in range(m):
        for q in order:
            best, score = None, -1e9
            for j, item in enumerate(rows[q]):
                if j in sets[q] or uses[item] >= cap:
                    continue
                rest = max((float(base[item] @ base[rows[q][k]]) for k in sets[q]), default=0.0)
                value = lam * cosines[q][j] - (1 - lam) * rest
                if value > score + 1e-9:
                    best, score = j, value
            if best is not None:
                sets[q].append(best)
                uses[rows[q][best]] += 1
    return sets


@pytest.mark.parametrize(("lam", "cap", "m"), [(0.7, 3, 4), (0.7, 1, 4), (0.2, 2, 3), (1.0, 50, 2)])
def test_mmr_is_the_naive_loop(lam, cap, m):
    rng = np.random.default_rng(5)
    queries, base = unit(rng.standard_normal((30, 6))), unit(rng.standard_normal((25, 6)))
    cosines, rows = top(queries, base, 12, "x")
    order = rng.permutation(30)
    got = choose(cosines, rows, base, order, m, lam, cap)
    assert [[j for j in row if j >= 0] for row in got.tolist()] == naive_mmr(
        cosines, rows, base, order, m, lam, cap
    )
    uses = np.bincount(rows[np.arange(30)[:, None], got][got >= 0], minlength=25)
    assert uses.max() <= cap
    if cap == 1:
        assert (got < 0).any()  # the cap did bind


def test_mmr_by_hand():
    """Of two twins the second loses to a less similar item that is unlike the first."""
    base = unit([[1, 0.1, 0], [1, 0.11, 0], [0.6, 0, 0.8]])
    query = unit([[1, 0, 0]])
    cosines, rows = top(query, base, 3, "x")
    for lam, want in ((1.0, [0, 1]), (0.5, [0, 2])):
        picked = choose(cosines, rows, base, [0], 2, lam, 3)[0]
        assert rows[0][picked].tolist() == want


def test_search_is_exact():
    rng = np.random.default_rng(0)
    queries, base = unit(rng.standard_normal((40, 5))), unit(rng.standard_normal((30, 5)))
    cosines, rows = top(queries, base, 50, "x")
    product = queries @ base.T
    np.testing.assert_array_equal(rows, np.argsort(-product, axis=1, kind="stable"))
    np.testing.assert_allclose(cosines, -np.sort(-product, axis=1), atol=1e-6)


def test_band_percentiles_by_hand():
    """Eleven items at cosines 0, .1, ... 1 to the one training sample: .2 to .8 stay, bounds included."""
    c = np.arange(11) / 10
    pool = np.stack([c, np.sqrt(1 - c**2), 0 * c], 1).astype(np.float32)
    outside, (low, high) = outside_band(pool, unit([[1, 0, 0]]), (20.0, 80.0))
    assert (low, high) == pytest.approx((0.2, 0.8), abs=1e-6)
    assert (~outside).nonzero()[0].tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert repeated(named(np.zeros((3, 2))).digests).tolist() == [False, True, True]


def test_domain_tags_replace_the_band_and_held_out_domains_never_come():
    rng = np.random.default_rng(1)
    names = ("film", "web", "news")
    codes = np.arange(90) % 3
    pool = replace(pool_of(random_unit(rng, 90), groups=codes), domains=names)
    train = named(random_unit(rng, 20), groups=np.zeros(20, np.int64))
    given = supplies(train, {"ood_test/film": named(unit([[1, 0, 0]]))}, groups=("web", "film"))
    found = find(pool, given, Rules(near=1.0), 8)
    assert {names[codes[i]] for i in found.rows[found.rows >= 0]} == {"news"}
    assert found.counts["of a held-out domain"] == 30
    assert found.counts["of a training domain"] == 30
    assert "band from" not in found.counts


def test_order_of_the_training_set_does_not_matter():
    rng = np.random.default_rng(2)
    train, held, pool = random_unit(rng, 20), random_unit(rng, 3), random_unit(rng, 40)
    ids = rng.permutation(1000)[:20]
    turn = rng.permutation(20)
    tables = []
    for order in (np.arange(20), turn):
        found = find(
            pool_of(pool), supplies(named(train[order], ids=ids[order]), {"t": named(held)}), Rules(), 6
        )
        tables.append({int(i): row.tolist() for i, row in zip(ids[order], found.rows, strict=True)})
    assert tables[0] == tables[1]
    # From the most to the least similar, as recomputed.
    for q, i in enumerate(ids):
        row = [j for j in tables[0][int(i)] if j >= 0]
        cosines = pool[row] @ train[q]
        assert (np.diff(cosines) <= 1e-6).all()


def test_embeddings_are_made_once_and_go_on_after_a_stop(monkeypatch):
    monkeypatch.setattr(embeddings, "PART", 4)
    examples = named(random_unit(np.random.default_rng(0), 10))
    calls: list[int] = []

    def embed(batch):
        if sum(calls) >= 6 and len(calls) < 50:
            calls.append(99)
            raise KeyboardInterrupt
        calls.append(len(batch))
        return spell(batch)

    with pytest.raises(KeyboardInterrupt):
        embeddings.unit_embeddings(examples, embed, "m", 2, "x")
    again: list[int] = []
    got = embeddings.unit_embeddings(examples, lambda b: again.append(len(b)) or spell(b), "m", 2, "x")
    assert sum(again) == 6  # the first part of four was there
    np.testing.assert_allclose(got, unit(spell(examples.batch(range(10)))), atol=1e-6)
    embeddings.unit_embeddings(examples, None, "m", 2, "x")
    with pytest.raises(RequestError, match="not all finite"):
        embeddings.unit_embeddings(examples, lambda b: spell(b) * torch.nan, "other", 2, "x")


def test_ranks_rise_with_severity_and_stay_in_their_band():
    u = torch.linspace(0, 1 - 2.0**-24, 101)
    for count in (1, 2, 3, 4, 7):
        counts = torch.full((101,), count)
        all_ranks = torch.stack([ranked(s, u, counts) for s in (1, 2, 3, 4, 5)])
        assert (all_ranks.diff(dim=0) >= 0).all()
        assert all_ranks.min() == 0
        assert all_ranks.max() == count - 1
    four = torch.full((101,), 4)
    assert [sorted(set(ranked(s, u, four).tolist())) for s in (1, 3, 5)] == [[0, 1], [1, 2], [2, 3]]


TRAIN = [f"{w} {x} number {i}" for i in range(8) for w, x in (("a good", "film"), ("a bad", "day"))]
OTHER = [f"{w} {x} over there {i}" for i in range(20) for w, x in (("a fine", "shop"), ("a poor", "meal"))]


def text_bundle():
    return from_objects((TRAIN, ["yes", "no"] * 8))


def bag(batch) -> torch.Tensor:
    """Hashed letter pairs: a stand-in for an encoder that needs no weights."""
    rows = torch.zeros(len(batch), 64)
    for row, text in zip(rows, batch.x, strict=True):
        for a, b in pairwise(text):
            row[(ord(a) * 31 + ord(b)) % 64] += 1
    return rows


def text_supplies(**more) -> Supplies:
    bundle = text_bundle()
    held = {n: e for n, e in bundle.sets().items() if n != "train"}
    return Supplies(bundle.train, held, bundle.classes, bundle.fingerprint, bag, lambda n: None, **more)


def test_text_views():
    given = text_supplies()
    recipe = get({"name": "retrieved", "pool": OTHER, "n": 10, "near": 0.99})
    shift = recipe.prepared(given)
    assert (shift.modality, shift.label_preserving, shift.default) == ("text", False, False)
    batch = given.train.batch(range(len(given.train)))
    out = shift(batch, 3, Draws(0))
    assert torch.equal(out.ids, batch.ids)
    replaced = [a != b for a, b in zip(out.x, batch.x, strict=True)]
    assert any(replaced)
    assert all(t in OTHER for t, r in zip(out.x, replaced, strict=True) if r)
    assert (out.y == -100).tolist() == replaced
    rows = [5, 2, 9]
    assert shift(batch.take(rows), 3, Draws(0)).x == out.take(rows).x
    assert recipe.prepared(given)(batch, 3, Draws(0)).x == out.x
    assert len({shift(batch, 3, Draws(0, step=s)).x for s in range(4)}) > 1
    assert shift(batch, 0, Draws(0)) is batch
    far = bag(shift(batch, 5, Draws(0)))
    near = bag(shift(batch, 1, Draws(0)))
    own = torch.nn.functional.normalize(bag(batch))
    likeness = [(torch.nn.functional.normalize(x) * own).sum(1).mean() for x in (near, far)]
    assert likeness[0] > likeness[1]
    held = given.held_out["id_test"].batch([0])
    with pytest.raises(RequestError, match="use this shift in training only"):
        shift(held, 1, Draws(0))


def test_a_sample_without_neighbours_stays_as_it_is_and_is_counted(capsys):
    given = text_supplies()
    shift = retrieved(OTHER, cap=1, m=1, n=2, near=0.99).prepared(given)
    batch = given.train.batch(range(len(given.train)))
    out = shift(batch, 2, Draws(0))
    same = [a == b for a, b in zip(out.x, batch.x, strict=True)]
    assert any(same)
    assert (out.y == NO_LABEL).all()  # the frame gives up the label of a whole shift that may lose it
    assert f"samples without a neighbour {sum(same)}" in capsys.readouterr().err.replace("\n", " ")


def test_image_views_have_the_training_size():
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (10, 14, 3), dtype=np.uint8)) for _ in range(90)]
    bundle = from_objects((pictures[:40], [0, 1] * 20)).at(8)
    backbone = TinyImages()

    def embed(batch):
        with torch.no_grad():
            return backbone.encode(batch).features

    held = {n: e for n, e in bundle.sets().items() if n != "train"}
    given = Supplies(bundle.train, held, bundle.classes, "f", embed, lambda n: None, model_fingerprint="tiny")
    recipe = retrieved(pictures[40:], near=0.9999)
    shift = recipe.prepared(given)
    batch = bundle.train.batch(range(20))
    batch = replace(batch, x=batch.x.half())
    out = shift(batch, 4, Draws(0))
    assert (out.x.shape, out.x.dtype) == (batch.x.shape, torch.float16)
    changed = (out.x != batch.x).flatten(1).any(1)
    assert changed.any()
    assert ((out.y == -100) == changed).all()
    # Every replaced row is a picture of the pool, read by the same reader.
    pool = from_objects((pictures[40:], [0, 1] * 25)).at(8)
    known = torch.cat([e.batch(range(len(e))).x for e in pool.sets().values()]).half()
    for row in out.x[changed]:
        assert (known == row).flatten(1).all(1).any()
    calls = len(backbone.calls)
    again = recipe.prepared(given)(batch, 4, Draws(0))
    assert torch.equal(again.x, out.x)
    assert len(backbone.calls) == calls  # found in the cache
    mixed = mixture([recipe, "tone"]).prepared(given)(bundle.train.batch(range(20)), None, None, Draws(0))
    assert mixed.x.shape == batch.x.shape


def test_what_was_found_hangs_on_data_pool_model_and_rules():
    given = text_supplies(model_fingerprint="m")
    one = neighbours(pool_of(unit(np.eye(3))), _spelled(given), Rules(near=1.0), 4)
    assert one.counts["pool"] == 3
    rng = np.random.default_rng(3)
    other = neighbours(pool_of(random_unit(rng, 9)), _spelled(given), Rules(near=1.0), 4)
    assert other.counts["pool"] == 9
    fewer = neighbours(pool_of(random_unit(rng, 9)), _spelled(given), Rules(near=1.0, m=1), 4)
    assert fewer.rows.shape[1] == 1


def _spelled(given: Supplies) -> Supplies:
    rng = np.random.default_rng(9)
    return replace(
        given, train=named(random_unit(rng, 6)), held_out={"t": named(random_unit(rng, 2))}, embed=spell
    )


def test_requests_that_make_no_sense(monkeypatch):
    for options, message in [
        ({}, "retrieved needs this option"),
        ({"pool": OTHER, "m": 60}, "shift.m: retrieved expects 1 to 50"),
        ({"pool": OTHER, "lam": 1.5}, "shift.lam"),
        ({"pool": OTHER, "band": [80, 20]}, "shift.band"),
        ({"pool": OTHER, "band": [20, 120]}, "up to 100"),
        ({"pool": OTHER, "bend": [1, 2]}, "did you mean 'band'"),
    ]:
        with pytest.raises(RequestError, match=message):
            get({"name": "retrieved", **options})
    picture = Image.new("RGB", (9, 9))
    with pytest.raises(RequestError, match="a pool of texts"):
        retrieved([picture]).prepared(text_supplies())
    with pytest.raises(RequestError, match=r"call \.prepared"):
        retrieved(OTHER).at(1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "faiss" else name)
    with pytest.raises(RequestError, match=r"pip install 'tether\[retrieval\]'"):
        retrieved(OTHER)
