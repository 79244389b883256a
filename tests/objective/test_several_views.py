"""Terms over several views, AugMix's JSD, and samples that lost their label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tether import methods, tune
from tether.errors import RequestError
from tether.methods import Method
from tether.objective import (
    StepForwards,
    activation,
    ce,
    cross_entropy,
    distillation,
    evaluate_terms,
    jensen_shannon,
    jsd,
    rar,
    robust,
)
from tether.objective.rar import pooled
from tether.shifts import Draws, mixture, several
from tether.training import Engine, TrainConfig, fit
from tiny import ListExamples, darker, tiny_batch, tiny_model


def lighter(batch, student, teachers, draws):
    return replace(batch, x=1 - batch.x * 0.7)


def half_lost(batch, student, teachers, draws):
    """Three in four pictures made nearly black, and every second sample without its label."""
    place = torch.arange(len(batch))
    gone, dark = place % 2 == 1, (place % 4 > 0).view(-1, 1, 1, 1)
    return replace(batch, x=torch.where(dark, batch.x * 0.05, batch.x), y=torch.where(gone, -100, batch.y))


VIEWS = {"shifted": darker, "shifted2": lighter, "lost": half_lost}


@pytest.fixture
def f():
    student, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        teacher.heads["main"].weight.mul_(-1.5)
        # Centred on the clean batch: its decisions are then divided, and change when the input does.
        logits = teacher(tiny_batch()).logits["main"]
        teacher.heads["main"].bias.sub_(logits.mean(0))
    return StepForwards(tiny_batch(), VIEWS, student, {"initial": teacher}, Draws(0), (0, 1))


def numpy_jsd(*logits: torch.Tensor) -> np.ndarray:
    ps = []
    for z in logits:
        e = np.exp(z.detach().double().numpy() - z.detach().double().numpy().max(1, keepdims=True))
        ps.append(e / e.sum(1, keepdims=True))
    m = np.clip(sum(ps) / len(ps), 1e-7, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return sum(np.where(p > 0, p * (np.log(p) - np.log(m)), 0).sum(1) for p in ps) / len(ps)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_jsd_is_its_formula(scale):
    g = torch.Generator().manual_seed(0)
    z = [torch.randn(20, 10, generator=g) * scale for _ in range(3)]
    np.testing.assert_allclose(jensen_shannon(z), numpy_jsd(*z), rtol=1e-4, atol=1e-6)


def test_jsd_closed_forms():
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    same = jensen_shannon([z, z, z])
    assert same.abs().max() < 1e-6
    (gradient,) = torch.autograd.grad(same.sum(), z)
    assert gradient.abs().max() < 1e-6
    sure = [torch.eye(3)[k : k + 1] * 200 for k in range(3)]  # three certain answers, all different
    assert jensen_shannon(sure).item() == pytest.approx(np.log(3), rel=1e-5)
    # (1, 0), (1/2, 1/2): M = (3/4, 1/4)
    two = jensen_shannon([torch.tensor([[200.0, 0.0]]), torch.zeros(1, 2)]).item()
    want = (np.log(4 / 3) + 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)) / 2
    assert two == pytest.approx(want, rel=1e-5)


def test_jsd_gradient_is_finite_and_right():
    g = torch.Generator().manual_seed(1)
    z = [(torch.randn(3, 4, generator=g) * 2).requires_grad_() for _ in range(3)]
    got = torch.autograd.grad(jensen_shannon(z).sum(), z[1])[0]
    for i in range(3):
        for c in range(4):
            step = torch.zeros(3, 4)
            step[i, c] = 1e-3
            up, down = (numpy_jsd(z[0], z[1] + s * step, z[2]).sum() for s in (1, -1))
            assert got[i, c].item() == pytest.approx((up - down) / 2e-3, abs=1e-4)
    far = [torch.tensor([[400.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 400.0]], requires_grad=True)]
    for gradient in torch.autograd.grad(jensen_shannon(far).sum(), far):
        assert torch.isfinite(gradient).all()


def test_the_jsd_term_compares_clean_and_both_views(f):
    term = jsd()
    want = numpy_jsd(*(f.student(v).logits["main"] for v in ("clean", "shifted", "shifted2")))
    np.testing.assert_allclose(term.loss(f).detach(), want, rtol=1e-4, atol=1e-6)
    total = evaluate_terms((ce(), term), f)
    clean = cross_entropy(f.student().logits["main"], f.batch().y).mean().item()
    assert total.loss.item() == pytest.approx(clean + 12 * want.mean(), rel=1e-5)


def augmix_method(rank: int = 2) -> Method:
    """AugMix: cross-entropy on the clean view, 12 JSD over it and two AugMix views (docs/shifts-mixes)."""
    views = several(2, ["augmix"], severities=[3])
    return Method(tune.lora(rank, 4.0), (ce(), jsd(12.0, tuple(views))), views)


def test_augmix_as_a_method_trains(tmp_path):
    method = augmix_method()
    model = tiny_model()
    torch.manual_seed(0)
    groups = method.tuning.apply(model)
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    calls = model.backbone.calls
    calls.clear()
    recipe = TrainConfig(steps=3, batch_size=16)
    data, engine = ListExamples(tiny_batch(48)), Engine("fp32")
    fit(model, method, groups, data, {}, recipe, engine, 0, tmp_path, "f", "augmix")
    assert calls[-3:] == [48, 48, 48]  # clean and two views in one pass a step
    moved = [n for n, p in model.named_parameters() if n in before and not torch.equal(p, before[n])]
    assert moved
    one, two = (method.views[v](tiny_batch(), None, None, Draws(0)).x for v in ("shifted", "shifted2"))
    assert not torch.allclose(one, two)


def test_terms_over_views_are_the_mean_over_them(f):
    both = ("shifted", "shifted2")
    for target in ("gated", "shifted", "clean"):
        each = [robust(target, view=v).loss(f) for v in both]
        assert not torch.allclose(*each)
        torch.testing.assert_close(robust(target, view=both).loss(f), (each[0] + each[1]) / 2)
        assert torch.equal(robust(target, view=both[:1]).loss(f), each[0])
    each = [ce(view=v).loss(f) for v in both]
    torch.testing.assert_close(ce(view=both).loss(f), (each[0] + each[1]) / 2)


def test_rar_takes_the_rows_of_clean_and_every_view(f):
    names = ("clean", "shifted", "shifted2")
    each = []
    for k in (0, 1):
        s = torch.cat([pooled(f.student(v, (0, 1)).hidden[k], None) for v in names])
        t = torch.cat([pooled(f.teacher("initial", v, (0, 1)).hidden[k], None) for v in names])
        each.append(rar(s, t))
    torch.testing.assert_close(activation(view=names[1:]).loss(f), (each[0] + each[1]) / 2)


def test_a_sample_that_lost_its_label_is_left_out_or_compared_with_itself(f):
    gone = torch.arange(16) % 2 == 1
    student, teacher = f.student("lost").logits["main"], f.teacher("initial", "lost").logits["main"]
    own = distillation(student, teacher, 2.0)
    clean = distillation(student, f.teacher("initial").logits["main"], 2.0)
    changed = teacher.argmax(-1) != f.teacher("initial").logits["main"].argmax(-1)
    assert (changed & gone).any()
    assert (changed & ~gone).any()
    want = torch.where(changed & ~gone, clean, own)
    torch.testing.assert_close(robust("gated", view="lost").loss(f), want)
    torch.testing.assert_close(robust("clean", view="lost").loss(f), torch.where(gone, 0.0, clean))
    torch.testing.assert_close(robust("shifted", view="lost").loss(f), own)
    assert torch.equal(ce(view="lost").loss(f) == 0, gone)
    assert torch.equal(jsd(views=("shifted", "lost")).loss(f) == 0, gone)
    assert (ce().loss(f) > 0).all()


def test_several_views_have_names_and_draws_of_their_own():
    views = several(3, ["tone"], [2, 4])
    assert list(views) == ["shifted", "shifted2", "shifted3"]
    assert len({v.stream for v in views.values()}) == 3
    assert views["shifted"] == mixture(["tone"], [2, 4])
    assert all(v.severities == (2, 4) for v in views.values())
    with pytest.raises(RequestError, match="at least 1, got 0"):
        several(0)


@pytest.mark.parametrize(("name", "fraction"), [("rdft", 0.25), ("aug_ce", 1.0)])
def test_methods_take_views_and_severities(name, fraction):
    method = methods.build(name, {"views": 2, "severities": [5], "shifts": ["tone"]})
    assert list(method.views) == ["shifted", "shifted2"]
    assert all(v.severities == (5,) for v in method.views.values())
    one = methods.build(name, {})
    assert dict(one.views) == {"shifted": mixture(fraction=fraction)}
    with pytest.raises(RequestError, match="at least 1"):
        methods.build(name, {"views": 0})
    with pytest.raises(RequestError, match="severities of 0 to 5"):
        methods.build(name, {"severities": [7]})


def test_rdfts_terms_ask_for_every_view():
    model, teacher = tiny_model(), tiny_model()
    method = methods.build("rdft", {"views": 3, "shifts": ["tone"]})
    f = StepForwards(
        tiny_batch(side=16), method.views, model, {"initial": teacher, "task": teacher}, Draws(0), (0, 1)
    )
    evaluate_terms(method.terms, f)
    every = {"clean", "shifted", "shifted2", "shifted3"}
    assert set(f.traced.asked["student"]) == every == set(f.traced.asked["teacher:initial"])
    assert set(f.traced.asked["teacher:task"]) == {"clean"}
