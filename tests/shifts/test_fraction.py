"""Views of some of the samples: who is in them, and losses that stay what they were on average."""

from __future__ import annotations

import pytest
import torch

from tether.batch import Batch
from tether.errors import RequestError
from tether.methods import build
from tether.objective import StepForwards, activation, ce, evaluate_terms, jsd, kd, robust
from tether.shifts import Draws, mixture, several
from tether.supply import with_data_shifts
from tether.training import frozen_runner
from tiny import ListExamples, tiny_batch, tiny_model

NAMES = ["geometry"]


def forwards(step: int, fraction: float, batch: Batch | None = None, views: int = 1) -> StepForwards:
    model, other = tiny_model(), tiny_model()
    with torch.no_grad():
        other.heads["main"].weight.mul_(-1.5)
    batch = tiny_batch(16) if batch is None else batch
    made = several(views, NAMES, (2,), fraction=fraction)
    return StepForwards(batch, made, model.eval(), {"initial": frozen_runner(other)}, Draws(0, step), (0, 1))


def value(term, f: StepForwards) -> float:
    with torch.no_grad():
        return float(evaluate_terms((term,), f).loss)


def test_the_share_is_drawn_by_sample_whatever_its_company() -> None:
    view = mixture(NAMES, (2,), fraction=0.25)
    batch = tiny_batch(400)
    inside = view(batch, None, {}, Draws(0, 3)).ids
    assert 70 < len(inside) < 130
    halves = [view(batch.take(range(a, a + 200)), None, {}, Draws(0, 3)).ids for a in (0, 200)]
    assert torch.equal(torch.cat(halves), inside)
    assert not torch.equal(view(batch, None, {}, Draws(0, 4)).ids, inside)
    assert len(view(batch.take([5]), None, {}, Draws(0, 3))) == 1  # never none


def test_with_its_company_known_a_step_shifts_as_many_as_any_other() -> None:
    view = mixture(NAMES, (2,), fraction=0.25)
    batch = tiny_batch(32)
    company = tuple(batch.ids.tolist())
    seen = torch.zeros(32)
    for step in range(400):
        inside = view(batch, None, {}, Draws(0, step, company)).ids
        assert len(inside) == 8
        seen[torch.isin(batch.ids, inside)] += 1
    # Each sample is in with chance 1/4: 100 of 400 times, five deviations of a binomial to each side.
    assert (seen - 100).abs().max() < 5 * (400 * 0.25 * 0.75) ** 0.5
    draws = Draws(0, 3, company)
    halves = [view(batch.take(range(a, a + 16)), None, {}, draws).ids for a in (0, 16)]
    assert torch.equal(torch.cat(halves), view(batch, None, {}, draws).ids)


def test_a_share_that_is_no_whole_number_is_right_on_average() -> None:
    ids = torch.arange(10)
    company = tuple(range(10))
    counts = [int(Draws(0, step, company).part(ids, 0.33, "view").sum()) for step in range(500)]
    assert set(counts) == {3, 4}
    assert sum(counts) / 500 == pytest.approx(3.3, abs=0.07)
    assert not Draws(0, 0, company).part(ids, 1e-6, "view").any()


def test_all_views_of_a_step_hold_the_same_samples() -> None:
    f = forwards(2, 0.4, views=2)
    assert torch.equal(f.batch("shifted").ids, f.batch("shifted2").ids)
    assert not torch.equal(f.batch("shifted").x, f.batch("shifted2").x)


@pytest.mark.parametrize(
    "term",
    [
        ce(view="shifted"),
        kd("initial", view="shifted"),
        robust("gated"),
        robust("clean"),
        robust("shifted"),
        jsd(1.0, ("shifted", "shifted2")),
    ],
    ids=["ce", "kd", "gated", "clean", "shifted", "jsd"],
)
def test_the_mean_over_steps_is_that_of_whole_views(term) -> None:
    """Over the draws of who is in the view; the shift is the sample's own, at each step another."""
    some, whole = [], []
    for step in range(300):
        some.append(value(term, forwards(step, 0.3, views=2)))
        whole.append(value(term, forwards(step, 1.0, views=2)))
    a, b = torch.tensor(some), torch.tensor(whole)
    error = (a.std() ** 2 + b.std() ** 2).sqrt() / 300**0.5
    assert abs(a.mean() - b.mean()) < 3 * error
    assert a.std() > b.std()


def test_splitting_a_batch_changes_nothing() -> None:
    batch = tiny_batch(16)
    whole = value(robust("gated"), forwards(7, 0.5, batch))
    parts = [value(robust("gated"), forwards(7, 0.5, batch.take(range(a, a + 8)))) for a in (0, 8)]
    assert sum(parts) / 2 == pytest.approx(whole, rel=1e-5)


def test_a_share_out_of_range_is_refused() -> None:
    for share in (0.0, 1.5):
        with pytest.raises(RequestError, match="fraction"):
            mixture(NAMES, (2,), fraction=share)
    with pytest.raises(RequestError, match="fraction"):
        build("rdft", {"shifted_fraction": 0.0})


def test_rar_counts_only_the_rows_that_every_step_has() -> None:
    with pytest.raises(RequestError, match=r"16 rows, got 12;.*shift every sample \(shifted_fraction=1\)"):
        value(activation(), forwards(0, 0.9, tiny_batch(12)))
    assert value(activation(), forwards(0, 1.0, tiny_batch(12))) == pytest.approx(0, abs=1e-6)


def test_a_fraction_outlives_the_datas_own_shifts() -> None:
    class Data:
        train_shifts = ("tone",)
        train = ListExamples(tiny_batch(4))

    method = with_data_shifts(build("rdft", {"shifted_fraction": 0.5}), Data())  # type: ignore[arg-type]
    assert method.views["shifted"].fraction == 0.5
    assert [s.name for s in method.views["shifted"].shifts] == ["tone"]
