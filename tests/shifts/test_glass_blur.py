"""Glass blur: all exchanges at once against the loop that makes them one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tether.batch import Batch
from tether.shifts import Draws, get
from tether.shifts.image import tables
from tether.shifts.image.glass import _moves, glass_blur
from tether.shifts.image.swaps import sources


def one_by_one(content: list, down, right, reach: int, copy: bool) -> list:
    """The sequential loop, backwards in reading order, on a list of H * W things."""
    high, wide = down.shape
    x = list(content)
    for h in range(high - reach, reach, -1):
        for w in range(wide - reach, reach, -1):
            p = h * wide + w
            q = (h + int(down[h, w])) * wide + w + int(right[h, w])
            if copy:
                x[p] = x[q]
            else:
                x[p], x[q] = x[q], x[p]
    return x


@settings(max_examples=60, deadline=None)
@given(
    reach=st.integers(1, 4),
    size=st.tuples(st.integers(8, 26), st.integers(8, 26)),
    seed=st.integers(0, 2**32),
    copy=st.booleans(),
)
def test_sources_are_those_of_the_loop(reach, size, seed, copy):
    g = torch.Generator().manual_seed(seed)
    down, right = (torch.randint(-reach, reach, (2, *size), generator=g, dtype=torch.int32) for _ in range(2))
    got = sources(down, right, reach, copy=copy)
    for b in range(2):
        assert got[b].tolist() == one_by_one(range(size[0] * size[1]), down[b], right[b], reach, copy)


@pytest.mark.parametrize("copy", [False, True])
def test_one_way_moves_carry_far(copy):
    """All to the upper left: the longest chains there are."""
    move = torch.full((1, 30, 30), -1, dtype=torch.int32)
    got = sources(move, move, 1, copy=copy)[0].tolist()
    assert got == one_by_one(range(900), move[0], move[0], 1, copy)


def test_a_pass_of_exchanges_loses_nothing():
    moves = _moves(torch.arange(3), 40, 33, 4, Draws(0), "pass 0")
    got = sources(*moves, 4)
    assert torch.equal(got.sort(dim=1).values, torch.arange(40 * 33).expand(3, -1))
    assert len(sources(*moves, 4, copy=True)[0].unique()) < 40 * 33


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_moves_are_uniform(reach):
    moves = torch.stack(_moves(torch.arange(16), 64, 63, reach, Draws(3), "pass 0"))
    assert moves.dtype == torch.int32
    share = torch.stack([(moves == m).flatten(1).double().mean(1) for m in range(-reach, reach)])
    want, n = 1 / (2 * reach), 16 * 64 * 63
    assert (share - want).abs().max() < 5 * (want / n) ** 0.5
    assert share.sum().item() == pytest.approx(2)  # nothing outside the range
    both = torch.corrcoef(moves.flatten(1).double())[0, 1]
    assert abs(both) < 5 / n**0.5


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_the_whole_is_blur_loop_blur(severity, exact, images):
    x = torch.nn.functional.interpolate(images.x[:2], size=(48, 50), mode="bilinear")
    ids = torch.tensor([4, 9])
    shift = glass_blur(exact=exact)
    got = shift(Batch(x, ids, ids), severity, Draws(7)).x
    sigma, reach, passes = tables.GLASS_BLUR.at(x, severity)

    def soft(y):
        return ndimage.gaussian_filter(y, (0, 0, 0, sigma, sigma), mode="nearest", truncate=4)

    y = soft(x.double().numpy()[:, None]).reshape(2, 3, -1)
    for k in range(passes):
        down, right = _moves(ids, 48, 50, reach, Draws(7).spawn(shift.name), f"pass {k}")
        for b in range(2):
            y[b] = y[b][:, one_by_one(range(48 * 50), down[b], right[b], reach, exact)]
    want = soft(y.reshape(2, 1, 3, 48, 50))[:, 0]
    np.testing.assert_allclose(got.numpy(), want, atol=3e-6)


@pytest.mark.parametrize("size", [64, 224])
def test_the_highest_severity_is_stronger_than_the_lowest(size, images):
    """More is not promised: the published constants are not monotone in between."""
    x = torch.nn.functional.interpolate(images.x[:16], size=size, mode="bilinear")
    ids = torch.arange(16)
    first, last = ((get("glass_blur")(Batch(x, ids, ids), s, Draws(0)).x - x).abs().mean() for s in (1, 5))
    assert last > first
