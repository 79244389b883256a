from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts import Draws, Shift, default_names, get, members_of, mixture, on_pixels


def test_each_row_is_its_own_shift_and_order_is_kept(images):
    """Second road: every row must equal one of the (shift, severity) pairs applied to it alone."""
    names, severities = ("geometry", "tone"), (1, 4)
    view = mixture(names, severities)
    draws = Draws(2, step=3)
    out = view(images, None, None, draws)
    assert torch.equal(out.ids, images.ids)
    assert torch.equal(out.y, images.y)
    assert torch.equal(out.group, images.group)
    inner, seen = draws.spawn("mixture"), Counter()
    for i in range(64):
        row = images.take([i])
        hits = [
            (n, s)
            for n in names
            for s in severities
            if torch.allclose(get(n)(row, s, inner).x[0], out.x[i], rtol=0, atol=2e-6)
        ]
        assert hits
        seen[hits[0]] += 1
    assert len(seen) == 4  # all pairs are drawn


@pytest.mark.parametrize("kind", ["image", "text"])
def test_batch_split_and_order_do_not_matter(kind, images, texts):
    batch, view, draws = (images if kind == "image" else texts), mixture(), Draws(0, step=8)
    whole = view(batch, None, None, draws)
    rows = [9, 2, 13, 0]
    part = view(batch.take(rows), None, None, draws)
    if kind == "text":
        assert part.x == whole.take(rows).x
    else:
        torch.testing.assert_close(part.x, whole.take(rows).x, rtol=0, atol=2e-6)
    assert torch.equal(part.ids, batch.ids[rows])


def test_steps_give_new_views(images):
    a, b = (mixture()(images, None, None, Draws(0, step=s)).x for s in (0, 1))
    assert not torch.allclose(a, b)


def marks(count: int) -> list[Shift]:
    """Shifts that write their own number and severity into every pixel."""
    return [
        Shift(
            f"mark{k}",
            "mark",
            "image",
            "a mark",
            on_pixels(lambda x, s, ids, d, k=k: x * 0 + (10 * k + s) / 100),
        )
        for k in range(count)
    ]


def marked(view, n: int = 4000) -> Counter[int]:
    batch = Batch(torch.zeros(n, 3, 8, 8), torch.zeros(n).long(), torch.arange(n))
    out = view(batch, None, None, Draws(0)).x[:, 0, 0, 0]
    return Counter((out * 100).round().long().tolist())


def test_choices_are_even_and_independent():
    seen = marked(mixture(marks(3), (1, 2)))
    assert set(seen) == {1, 2, 11, 12, 21, 22}
    assert all(abs(c - 4000 / 6) < 4.5 * (4000 * 5 / 36) ** 0.5 for c in seen.values())


def test_weights():
    seen = marked(mixture(marks(3), (1,), weights=(3, 0, 1)))
    assert set(seen) == {1, 21}
    assert abs(seen[1] - 3000) < 4.5 * (4000 * 3 / 16) ** 0.5


def test_severity_0_leaves_samples_clean():
    seen = marked(mixture(marks(1), (0, 3)))
    assert abs(seen[0] - 2000) < 4.5 * 1000**0.5
    assert set(seen) == {0, 3}


def test_default_names_follow_the_batch(images, texts):
    assert tuple(s.name for s in members_of(mixture(), "text")) == default_names("train", "text")
    assert members_of(mixture(["tone"]), "image") == (get("tone"),)
    assert members_of(lambda batch, model, teachers, draws: batch, "image") == ()
    assert all(isinstance(t, str) for t in mixture()(texts, None, None, Draws(0)).x)
    assert mixture()(images, None, None, Draws(0)).x.shape == images.x.shape


def test_edges(images):
    assert len(mixture()(images.take([]), None, None, Draws(0))) == 0
    half = replace(images, x=images.x.half(), group=None)
    out = mixture()(half, None, None, Draws(0))
    assert out.x.dtype == torch.float16
    assert out.group is None


def test_requests_that_make_no_sense(images, texts):
    for call, message in [
        (lambda: mixture(["augmixx"]), "did you mean 'augmix'"),
        (lambda: mixture([]), "at least one, got none"),
        (lambda: mixture(["augmix", "word_swap"]), "one modality"),
        (lambda: mixture(["augmix", "augmix"]), "once"),
        (lambda: mixture(severities=[]), "severities"),
        (lambda: mixture(severities=[6]), "severities"),
        (lambda: mixture(weights=[1.0]), "one weight per named shift"),
        (lambda: mixture(["augmix", "tone"], weights=[1.0]), "got 1 for 2"),
        (lambda: mixture(["augmix", "tone"], weights=[1.0, -1.0]), "at least 0"),
        (lambda: mixture(["augmix"], weights=[0.0]), "at least 0"),
        (lambda: mixture(["augmix"])(texts, None, None, Draws(0)), "batch of images, got text"),
        (lambda: mixture()(replace(images, space="vit"), None, None, Draws(0)), "raw"),
    ]:
        with pytest.raises(RequestError, match=message):
            call()
