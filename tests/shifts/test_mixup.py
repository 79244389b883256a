"""mixup and CutMix: as functions with soft targets, and as views that give the label up."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tether import methods
from tether.batch import NO_LABEL, Batch
from tether.errors import RequestError
from tether.evaluation.suite import EvalSet, Suite, check_request
from tether.methods import Method
from tether.objective import ce, kd
from tether.shifts import Draws, Shift, Supplies, get, mixture, prepared_view
from tether.shifts.image.boxes import box
from tether.shifts.image.mixed_views import partners, share
from tether.shifts.image.mixup import cutmix, mixup, paste
from tether.supply import supplied
from tether.teachers import bind
from tether.training import Engine, TrainConfig, fit
from tether.tune import full
from tiny import ListExamples, tiny_batch, tiny_model

CLASSES = 7


def random(kind):
    return Draws(3) if kind == "draws" else torch.Generator().manual_seed(0)


@pytest.mark.parametrize("kind", ["draws", "generator"])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_is_its_formula(images, kind, alpha):
    x, t = mixup(images.x, images.y, CLASSES, alpha, random(kind))
    if kind == "draws":
        u = Draws(3).spawn("mixup").uniform(torch.arange(64), (4,), "mix")
    else:
        u = torch.rand(64, 4, generator=random(kind))
    order = sorted(range(64), key=lambda i: u[i, 0].item())
    for i, partner in enumerate(order):
        keep = float(stats.beta(alpha, alpha).ppf(u[i, 1].item()))
        torch.testing.assert_close(
            x[i], keep * images.x[i] + (1 - keep) * images.x[partner], atol=1e-5, rtol=0
        )
        want = torch.zeros(CLASSES)
        want[images.y[i]] += keep
        want[images.y[partner]] += 1 - keep
        torch.testing.assert_close(t[i], want, atol=1e-5, rtol=0)


def test_lambda_has_the_moments_of_its_beta():
    x = torch.zeros(4000, 3, 8, 8)
    _, t = mixup(x, torch.arange(4000), 4000, 0.5, torch.Generator().manual_seed(1))
    keep = t.diagonal()
    assert keep.mean().item() == pytest.approx(0.5, abs=4.5 * 0.36 / 4000**0.5)
    assert keep.var().item() == pytest.approx(1 / 8, abs=0.01)  # 1 / (4 (2 alpha + 1))


def test_cutmix_targets_count_the_pixels():
    n, high, wide = 200, 16, 24
    x = torch.arange(1.0, n + 1).view(-1, 1, 1, 1).expand(n, 3, high, wide) / n
    out, t = cutmix(x, torch.arange(n), n, 1.0, torch.Generator().manual_seed(0))
    u = torch.rand(n, 4, generator=torch.Generator().manual_seed(0))
    partner = u[:, 0].argsort()
    for i in range(n):
        kept = (out[i, 0] == x[i, 0, 0, 0]).float().mean().item()
        if int(partner[i]) == i:
            assert t[i, i].item() == pytest.approx(1)
            continue
        assert t[i, i].item() == pytest.approx(kept, abs=1e-6)
        assert t[i, partner[i]].item() == pytest.approx(1 - kept, abs=1e-6)
        assert 1 - kept <= (1 - float(u[i, 1])) + 0.1  # never more than was asked, but for whole pixels
    torch.testing.assert_close(t.sum(1), torch.ones(n))


@settings(max_examples=60, deadline=None)
@given(
    high=st.integers(8, 40), wide=st.integers(8, 40), tall=st.integers(0, 40), broad=st.integers(0, 40),
    r=st.floats(0, 0.999), c=st.floats(0, 0.999),
)  # fmt: skip
def test_a_box_is_a_rectangle_cut_off_at_the_border(high, wide, tall, broad, r, c):
    got = box(torch.tensor([[r, c]]), torch.tensor([tall]), torch.tensor([broad]), high, wide)[0, 0]
    centre = (torch.tensor([[r, c]]) * torch.tensor([high, wide])).long()[0].tolist()
    top, left = centre[0] - tall // 2, centre[1] - broad // 2
    want = [[top <= i < top + tall and left <= j < left + broad for j in range(wide)] for i in range(high)]
    assert torch.equal(got, torch.tensor(want))


def test_a_box_in_the_middle_has_the_asked_area():
    x, other = torch.zeros(5, 3, 100, 60), torch.ones(5, 3, 100, 60)
    asked = torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0])
    out, got = paste(x, other, asked, torch.full((5, 2), 0.5))
    torch.testing.assert_close(got, asked, atol=0.01, rtol=0)
    torch.testing.assert_close(out.mean((1, 2, 3)), got)


def test_functions_refuse_what_they_cannot_do(images):
    for f in (mixup, cutmix):
        with pytest.raises(RequestError, match="positive alpha"):
            f(images.x, images.y, CLASSES, 0.0, Draws(0))
        with pytest.raises(RequestError, match="labels 0 to 2"):
            f(images.x, images.y, 3, 1.0, Draws(0))
        with pytest.raises(RequestError, match="got -100"):
            f(images.x, torch.full_like(images.y, NO_LABEL), 3, 1.0, Draws(0))
    before = torch.get_rng_state()
    mixup(images.x, images.y, CLASSES, 1.0, Draws(0), ids=images.ids)
    assert torch.equal(torch.get_rng_state(), before)


# Views


def supplies(batch: Batch) -> Supplies:
    return SimpleNamespace(train=ListExamples(batch))


@pytest.fixture(params=["mixup", "cutmix"])
def name(request):
    return request.param


@pytest.fixture
def built(name, images):
    return get(name).prepared(supplies(images))


def test_partners_are_other_samples_of_the_training_set(images):
    shuffled = images.take(torch.randperm(64, generator=torch.Generator().manual_seed(0)).tolist())
    train = ListExamples(shuffled)
    for step in range(20):
        rows = partners(train, images.ids, Draws(0, step=step))
        assert (shuffled.ids[rows] != images.ids).all()
    strangers = torch.arange(1000) * 31 + 6  # ids that are not in the training set
    seen = partners(train, strangers, Draws(0))
    assert seen.unique().tolist() == list(range(64))
    assert torch.equal(partners(train, strangers[5:6], Draws(0)), seen[5:6])  # a function of the id


def test_a_view_is_the_sample_and_its_partner(name, built, images):
    draws, severity = Draws(2).spawn(name), 4
    out = built(images, severity, Draws(2))
    part = share(images.ids, severity, 1.0, draws)
    beta = draws.uniform(images.ids, (), "share")  # Beta(1, 1) is uniform
    torch.testing.assert_close(part, torch.minimum(beta, 1 - beta) * 0.8)
    other = images.x[partners(ListExamples(images), images.ids, draws)]
    if name == "mixup":
        want = (1 - part.view(-1, 1, 1, 1)) * images.x + part.view(-1, 1, 1, 1) * other
    else:
        want, area = paste(images.x, other, part, draws.uniform(images.ids, (2,), "centre"))
        assert (area <= part + 0.05).all()
    torch.testing.assert_close(out.x, want, atol=1e-6, rtol=0)


def test_what_every_shift_promises_but_for_the_label(built, images):
    out = built(images, 3, Draws(0, step=4))
    assert (out.y == NO_LABEL).all()
    assert torch.equal(out.ids, images.ids)
    assert torch.equal(out.group, images.group)
    assert built(images, 0, Draws(0)) is images
    rows = [9, 2, 13]
    torch.testing.assert_close(
        built(images.take(rows), 3, Draws(0, step=4)).x, out.x[rows], atol=2e-6, rtol=0
    )
    assert not torch.equal(built(images, 3, Draws(0, step=5)).x, out.x)
    distance = [(built(images, s, Draws(0)).x - images.x).abs().mean().item() for s in (1, 2, 3, 4, 5)]
    assert distance == sorted(distance)
    assert len(built(images.take([]), 3, Draws(0))) == 0
    half = Batch(images.x.half(), images.y, images.ids)
    assert built(half, 3, Draws(0)).x.dtype == torch.float16


def test_a_recipe_says_what_is_wrong(name, images):
    with pytest.raises(RequestError, match=rf"{name}\.alpha: expected a positive number"):
        get({"name": name, "alpha": -1.0})
    with pytest.raises(RequestError, match="two or more training samples"):
        get(name).prepared(supplies(images.take([0])))
    small = Batch(images.x[..., :16], images.y, images.ids)
    with pytest.raises(RequestError, match="training set's size"):
        get(name).prepared(supplies(images))(small, 3, Draws(0))
    with pytest.raises(RequestError, match=r"call \.prepared"):
        get(name).at(3)


def test_a_mixture_keeps_the_labels_of_the_others(images):
    view = prepared_view(mixture(["tone", "mixup"], (5,)), supplies(images))
    out = view(images, None, None, Draws(0))
    gone = out.y == NO_LABEL
    assert 15 < int(gone.sum()) < 49
    assert torch.equal(out.y[~gone], images.y[~gone])


def test_a_method_trains_on_a_mix_of_the_training_set(tmp_path):
    data = tiny_batch(48)
    method = methods.build("rdft", {"shifts": ["mixup", "cutmix"], "views": 2, "alpha": 1.0, "rank": 2})
    method = supplied(method, supplies(data))
    model = tiny_model()
    torch.manual_seed(0)
    groups = method.tuning.apply(model)
    teachers = {n: t.run for n, t in bind(method, model, {}).items()}
    recipe = TrainConfig(steps=3, batch_size=16)
    fit(model, method, groups, ListExamples(data), teachers, recipe, Engine("fp32"), 0, tmp_path, "f", "mix")
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["terms"]
    assert last["robust"] > 0  # the mixed pictures were compared, without a label


# Where labels are needed


def test_cross_entropy_on_views_without_labels_is_refused_at_once():
    with pytest.raises(
        RequestError, match=r"term ce_shifted needs labels .* but mixup, cutmix takes them away"
    ):
        methods.build("aug_ce", {"shifts": ["mixup", "cutmix"]})
    with pytest.raises(RequestError, match=r"term robust needs labels .* but mixup takes them away"):
        methods.build("rdft", {"shifts": ["mixup"], "target": "clean"})


def test_views_without_labels_are_fine_where_none_is_needed():
    methods.build("rdft", {"shifts": ["mixup"], "views": 2})
    methods.build("aug_ce", {"shifts": ["mixup", "augmix"]})
    methods.build("aug_ce", {"shifts": ["mixup"], "weight": 0.0})
    Method(full(), (ce(), kd("initial", view="shifted")), {"shifted": mixture(["mixup"])})
    Method(full(), (ce(view="shifted"),), {"shifted": lambda batch, model, teachers, draws: batch})


def test_testing_on_a_shift_without_labels_is_refused(images):
    blank = Shift("blank", "mine", "image", "nothing", lambda b, s, d: b, label_preserving=False)
    suite = Suite((EvalSet("blank", "synthetic", 3, ListExamples(images), blank),), ())
    with pytest.raises(RequestError, match="blank takes the labels away"):
        check_request(suite, (), False)
    assert (blank(images, 1, Draws(0)).y == NO_LABEL).all()
