"""`adv_divergence`: METHODS 1.8 and property 5 of section 8, against closed forms and plain loops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from attacked import Affine, affine, lora_images, stir
from scipy import stats

from tether.batch import Batch, Output
from tether.errors import RequestError
from tether.objective import StepForwards
from tether.shifts import Draws, Shift, get, mixture, on_pixels
from tether.shifts.adversarial.ascent import Ball, ascend, power_step
from tether.shifts.adversarial.budget import FACTORS, default_eps
from tether.shifts.adversarial.objective import Goal
from tether.shifts.adversarial.rest import at_rest
from tether.training import Engine
from tiny import tiny_batch

CPU = torch.device("cpu")
MODES = ("auto", "div", "anchor", "teacher", "self")


def attack(**options):
    return get({"name": "adv_divergence", **options})


def view(batch, model, teachers, severity=3, draws=None, **options):
    return attack(**options).at(severity)(batch, model, teachers, draws or Draws(0, step=5))


def moved(model, teachers, mode, batch, out) -> tuple[torch.Tensor, torch.Tensor]:
    """J at the clean input and at the view, by a fresh objective."""
    with at_rest(model, CPU), torch.no_grad():
        j = Goal(mode).objective(batch, model, teachers, step=5)
        return j(batch), j(out)


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "how", [{"norm": "linf"}, {"norm": "l2"}, {"norm": "l2", "search": "power"}, {"search": "power"}]
)
def test_the_view_stays_within_eps_and_the_pixels(how, mode, severity):
    model, teachers = lora_images()
    stir(model)
    batch = tiny_batch(12)
    batch = replace(batch, x=batch.x.round(decimals=1), group=batch.y)  # some pixels at 0 and 1
    out = view(batch, model, teachers, severity, mode=mode, **how)
    eps = FACTORS[severity - 1] * default_eps(how.get("norm", "linf"), 8)
    delta = (out.x - batch.x).flatten(1)
    size = delta.norm(dim=1) if how.get("norm") == "l2" else delta.abs().amax(1)
    assert (size <= eps * (1 + 1e-5)).all()
    assert (size > 0.5 * eps).all() or how.get("norm") == "l2"
    assert (size > 0).all()
    assert out.x.min() >= 0
    assert out.x.max() <= 1
    assert torch.equal(out.ids, batch.ids)
    assert torch.equal(out.y, batch.y)
    assert torch.equal(out.group, batch.group)
    assert (out.x.dtype, out.space, out.x.requires_grad) == (batch.x.dtype, "raw", False)


def test_default_eps_follows_the_side_and_severity_0_is_the_identity():
    assert default_eps("linf", 224) == 4 / 255
    assert default_eps("linf", 65) == 4 / 255
    assert default_eps("linf", 64) == default_eps("linf", 28) == 8 / 255
    batch = tiny_batch(4)
    assert attack().at(0)(batch, None, None, Draws(0)) is batch
    half = replace(batch, x=batch.x.half())
    assert view(half, *lora_images()).x.dtype == torch.float16


def test_the_printed_formula_is_exactly_zero_at_the_start_and_auto_is_not():
    """METHODS section 7, item 1: at B = 0 the divergence and its gradient vanish for every input."""
    model, teachers = lora_images()
    batch = tiny_batch(16)
    noisy = replace(batch, x=(batch.x + 0.03 * torch.randn(batch.x.shape)).clamp(0, 1))
    with at_rest(model, CPU):
        j = Goal("div").objective(batch, model, teachers, 0)
        for at in (batch, noisy):
            x = at.x.clone().requires_grad_(True)
            value = j(replace(at, x=x))
            (gradient,) = torch.autograd.grad(value.sum(), x)
            assert value.abs().max() == 0
            assert gradient.abs().max() < 1e-10
    before, after = moved(model, teachers, "auto", batch, view(batch, model, teachers))
    assert before.abs().max() < 1e-7
    assert (after > 1e-6).all()
    stir(model)  # once the weights differ, the divergence is there
    before, after = moved(model, teachers, "div", batch, view(batch, model, teachers, mode="div"))
    assert (before > 0).all()
    assert (after > before).all()


@pytest.mark.parametrize("mode", MODES)
def test_j_of_the_view_is_not_below_j_of_the_start_and_rises_on_average(mode):
    model, teachers = lora_images()
    stir(model)
    batch = tiny_batch(16)
    with at_rest(model, CPU):
        j = Goal(mode).objective(batch, model, teachers, 5)
        ball = Ball(batch.x, torch.full((16,), 8 / 255), "linf", batch.ids, Draws(0), box=True)
        start = ball.start()
        found = ascend(lambda x: j(replace(batch, x=x)), ball, start, 3, ball.eps * 2.5 / 3, "sign")
        assert (found.value >= found.first).all()
        assert (found.value > found.first).float().mean() > 0.8
        with torch.no_grad():
            torch.testing.assert_close(j(replace(batch, x=found.x)), found.value)
            torch.testing.assert_close(j(replace(batch, x=start)), found.first)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_against_a_plain_loop_of_the_procedure_sample_by_sample(norm):
    """The pseudo-code of METHODS 1.8, one sample at a time, written out without the module's parts."""
    model, teachers = lora_images()
    stir(model)
    batch, eps, steps = tiny_batch(6), 0.02 if norm == "linf" else 0.3, 4
    out = view(batch, model, teachers, mode="div", norm=norm, eps=eps, steps=steps)
    model.eval()
    inner = Draws(0, step=5).spawn("adv_divergence")
    for i in range(6):
        row = batch.take([i])
        x, best = row.x, (-1.0, row.x)
        if norm == "linf":
            now = x + eps * (2 * inner.uniform(row.ids, (3, 8, 8), "start") - 1)
        else:
            z = inner.normal(row.ids, (3, 8, 8), "start")
            now = x + eps * inner.uniform(row.ids, (), "radius") ** (1 / 192) * z / z.norm()
        now = now.clamp(0, 1)
        for k in range(steps + 1):
            now = now.detach().requires_grad_(True)
            z_s = model(replace(row, x=now)).logits["main"][0]
            p_0 = torch.softmax(teachers["initial"](replace(row, x=now), ()).logits["main"][0], 0)
            value = (p_0 * (p_0.log() - torch.softmax(z_s, 0).log())).sum()
            if value.item() > best[0]:
                best = (value.item(), now.detach())
            if k == steps:
                break
            (g,) = torch.autograd.grad(value, now)
            step = g.sign() if norm == "linf" else g / g.norm()
            delta = now.detach() + 2.5 * eps / steps * step - x
            delta = delta.clamp(-eps, eps) if norm == "linf" else delta * min(1.0, eps / delta.norm().item())
            now = (x + delta).clamp(0, 1)
        torch.testing.assert_close(out.x[i : i + 1], best[1], rtol=0, atol=2e-5)


def test_one_step_on_a_linear_model_has_a_closed_form():
    """With two classes the gradient of CE is a positive number times w_other - w_y: eps along its sign."""
    model, batch, eps = affine(), tiny_batch(10, classes=2), 0.03
    out = view(batch, model, None, mode="self", eps=eps, steps=1, step_size=2 * eps)
    away = model.weight.detach()[1 - batch.y] - model.weight.detach()[batch.y]
    want = (batch.x + eps * away.sign().view_as(batch.x)).clamp(0, 1)
    torch.testing.assert_close(out.x, want, rtol=0, atol=1e-6)


def test_vats_step_on_a_quadratic_has_a_closed_form():
    g = torch.Generator().manual_seed(0)
    c, root = torch.rand(5, 12, generator=g), torch.randn(12, 12, generator=g)
    hessian = root @ root.T
    ball = Ball(c, torch.full((5,), 0.5), "l2", torch.arange(5), Draws(2))

    def j(x):
        return 0.5 * (((x - c) @ hessian) * (x - c)).sum(1)

    found = power_step(j, ball, 0.1, "unit")
    u = Draws(2).normal(torch.arange(5), (12,), "start")
    hu = u @ hessian
    torch.testing.assert_close(found.x, c + 0.5 * hu / hu.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    assert (found.value > found.first).all()


def test_gradients_modes_and_flags_of_the_model_are_left_alone():
    model, teachers = lora_images()
    for p in model.parameters():
        p.grad = torch.full_like(p, 7.0)
    modes = {n: m.training for n, m in model.named_modules()}
    flags = {n: p.requires_grad for n, p in model.named_parameters()}
    assert set(modes.values()) == set(flags.values()) == {True, False}
    torch.manual_seed(4)
    for mode in MODES:
        view(tiny_batch(8), model, teachers, mode=mode)
    assert modes == {n: m.training for n, m in model.named_modules()}
    assert flags == {n: p.requires_grad for n, p in model.named_parameters()}
    assert all((p.grad == 7).all() for p in model.parameters())
    assert torch.initial_seed() == 4
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(4)))
    with pytest.raises(RequestError, match="asks the teacher 'initial'"):
        view(tiny_batch(8), model, {})
    assert flags == {n: p.requires_grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("how", [{"norm": "linf"}, {"norm": "l2"}, {"norm": "l2", "search": "power"}])
def test_a_samples_view_is_its_own(how):
    model, teachers = lora_images()
    stir(model)
    batch, rows = tiny_batch(16), [9, 2, 13]
    whole = view(batch, model, teachers, **how).x[rows]
    part = view(batch.take(rows), model, teachers, **how).x
    alone = torch.cat([view(batch.take([r]), model, teachers, **how).x for r in rows])
    for other in (part, alone):
        # A gradient entry near 0 may round to the other sign in another batch; not more than a few do.
        assert ((other - whole).abs() > 1e-5).float().mean() < 0.005
    stranger = replace(batch, x=batch.x.flip(0), ids=batch.ids.flip(0), y=batch.y.flip(0))
    flipped = view(stranger, model, teachers, **how).x.flip(0)[rows]
    assert ((flipped - whole).abs() > 1e-5).float().mean() < 0.005


def test_the_same_step_gives_the_same_view_in_any_grad_mode_and_another_step_another():
    """What a resumed run relies on: nothing is remembered from step to step."""
    model, teachers = lora_images()
    batch, one = tiny_batch(8), attack()
    first = one.at(3)(batch, model, teachers, Draws(1, step=7)).x
    one.at(3)(batch, model, teachers, Draws(1, step=8))
    with torch.no_grad():
        again = attack().at(3)(batch, model, teachers, Draws(1, step=7)).x
    assert torch.equal(first, again)
    assert not torch.equal(first, one.at(3)(batch, model, teachers, Draws(1, step=8)).x)


def test_auto_asks_each_sample_by_its_own_clean_divergence():
    model, teachers = lora_images()
    stir(model)
    batch = tiny_batch(16)
    with at_rest(model, CPU), torch.no_grad():
        div = Goal("div").objective(batch, model, teachers, 0)(batch)
        kappa = float(div.median())
        goal = Goal("auto", kappa=kappa)
        j = goal.objective(batch, model, teachers, 0)
        assert torch.equal(j.warm, div < kappa)
        noisy = replace(batch, x=(batch.x + 0.05).clamp(0, 1))
        both = [Goal(m).objective(batch, model, teachers, 0)(noisy) for m in ("anchor", "div")]
        torch.testing.assert_close(j(noisy), torch.where(div < kappa, *both))
        rows = [3, 3, 1]
        torch.testing.assert_close(j.take(rows)(noisy.take(rows)), j(noisy)[rows])
        warm_up = Goal("auto", warmup_steps=4, kappa=0.0)
        assert warm_up.objective(batch, model, teachers, 3).warm.all()
        assert not warm_up.objective(batch, model, teachers, 4).warm.any()


def test_the_gradient_of_div_passes_both_models():
    """Second road: central differences of the printed KL in float64; without M_0's part they do not agree."""
    student, teacher, batch = affine(3, seed=0), affine(3, seed=1), tiny_batch(4)

    def kl(x):
        p, q = (
            torch.log_softmax(x.flatten(1) @ m.weight.detach().double().T + m.bias.detach().double(), 1)
            for m in (teacher, student)
        )
        return (p.exp() * (p - q)).sum(1)

    u = torch.randn(batch.x.shape, generator=torch.Generator().manual_seed(0)).double()
    want = (kl(batch.x + 1e-5 * u) - kl(batch.x - 1e-5 * u)) / 2e-5
    j = Goal("div").objective(batch, student, {"initial": teacher}, 0)
    half = replace(j, teacher=lambda b: teacher(b).logits["main"].detach())
    slopes = []
    for objective in (j, half):
        x = batch.x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(objective(replace(batch, x=x)).sum(), x)
        slopes.append((gradient.double() * u).flatten(1).sum(1))
    torch.testing.assert_close(slopes[0], want, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(slopes[1], want, rtol=0.05)


def test_a_flat_gradient_gets_a_random_direction_of_its_samples_own():
    ball = Ball(torch.zeros(3, 3, 8, 8), torch.ones(3), "linf", torch.tensor([4, 5, 6]), Draws(0))
    gradient = torch.full((3, 3, 8, 8), 1e-11)  # rounding: its sign must not decide
    gradient[1] = -1e-3
    d = ball.direction(gradient, "sign", "d")
    assert (d[1] == -1).all()
    for i in (0, 2):
        assert set(d[i].unique().tolist()) == {-1.0, 1.0}
        assert abs(d[i].mean()) < 0.3
    assert not torch.equal(d[0], d[2])
    alone = Ball(torch.zeros(1, 3, 8, 8), torch.ones(1), "linf", torch.tensor([6]), Draws(0))
    assert torch.equal(alone.direction(gradient[:1], "sign", "d")[0], d[2])
    for bad in (0.0, float("nan"), float("inf")):
        gradient[0] = bad
        unit = ball.direction(gradient, "unit", "d").flatten(1)
        torch.testing.assert_close(unit.norm(dim=1), torch.ones(3))


def test_a_constant_model_leaves_the_random_start():
    still = Affine(torch.zeros(2, 192), torch.zeros(2))
    batch = tiny_batch(8, classes=2)
    out = view(batch, still, None, mode="self", eps=0.05)
    inner = Draws(0, step=5).spawn("adv_divergence")
    start = (batch.x + 0.05 * (2 * inner.uniform(batch.ids, (3, 8, 8), "start") - 1)).clamp(0, 1)
    torch.testing.assert_close(out.x, start)


def test_starts_are_uniform_in_the_ball():
    n, ids = 4000, torch.arange(4000)
    centre = torch.zeros(n, 3)
    linf = Ball(centre, torch.full((n,), 2.0), "linf", ids, Draws(0)).start()
    assert stats.kstest((linf[:, 1] / 4 + 0.5).numpy(), "uniform").pvalue > 1e-3
    l2 = Ball(centre, torch.full((n,), 2.0), "l2", ids, Draws(0)).start()
    r = l2.norm(dim=1) / 2  # in three dimensions P(r < t) = t^3
    assert stats.kstest((r**3).numpy(), "uniform").pvalue > 1e-3
    free = torch.tensor([[True, True, False]]).expand(n, 3)  # and in two, t^2
    flat = Ball(centre, torch.full((n,), 2.0), "l2", ids, Draws(0), free).start()
    assert (flat[:, 2] == 0).all()
    assert stats.kstest(((flat.norm(dim=1) / 2) ** 2).numpy(), "uniform").pvalue > 1e-3


def test_under_bf16_the_attack_still_computes_in_fp32():
    model, teachers = lora_images()
    stir(model)
    batch = tiny_batch(8)
    want = view(batch, model, teachers).x
    engine = Engine("bf16")
    runner = engine.prepare(model)
    with engine.autocast():
        got = view(batch, model, teachers).x
        assert runner(batch, ()).features.dtype == torch.bfloat16  # the step itself does not
    assert torch.equal(got, want)
    Engine("fp32")


def test_views_get_the_model_and_not_what_wraps_it():
    seen = []

    def spy(batch, model, teachers, draws):
        seen.append(model)
        return batch

    forwards = StepForwards(
        tiny_batch(4), {"shifted": spy}, lambda b, h: None, {}, Draws(0), (), model="the model"
    )
    forwards.batch("shifted")
    assert seen == ["the model"]


def test_the_budget_check_warns_when_noise_alone_breaks_the_initial_model():
    batch = tiny_batch(64, classes=2)
    sign = torch.ones(1, 192)
    sign[:, ::2] = -1
    x = 0.5 + 0.2 * (2 * batch.y.float()[:, None] - 1) * sign / 192**0.5
    clean = replace(batch, x=x.view(-1, 3, 8, 8))

    def run(b, hidden=()):
        score = ((b.x.flatten(1) - 0.5) * sign).sum(1)
        return Output(b.x, {"main": torch.stack([-score, score], 1)})

    one = attack(eps=0.3)
    warning = one.sanity(run, clean, 5)
    assert "lowers the initial model's accuracy from 1.000 to" in warning
    assert one.sanity(run, clean, 5) == warning  # its noise is drawn from the samples' ids
    assert attack(eps=1e-4).sanity(run, clean, 5) is None
    assert attack(norm="l2").sanity(run, clean, 5) is None


def test_a_mixture_draws_the_attack_for_its_share():
    model, teachers = lora_images()
    batch = tiny_batch(400)
    black = Shift("black", "light", "image", "none", on_pixels(lambda x, s, ids, d: x * 0))
    specs = [{"name": "adv_divergence", "weight": 1, "steps": 1}, black]
    with_weights = mixture(specs, [3], weights=[1, 3])
    attacked = with_weights(batch, model, teachers, Draws(0)).x.flatten(1).amax(1) > 0
    assert abs(attacked.sum() - 100) < 4.5 * (400 * 3 / 16) ** 0.5
    alone = mixture([specs[0], "tone"], [3])
    assert alone.weights is None
    assert mixture([{**specs[0], "weight": 3}, "tone"]).weights == (0.75, 0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -1.0}, "eps: expected a number above 0"),
        ({"steps": 0}, "steps: expected a number above 0"),
        ({"mode": "both"}, "shift.mode"),
        ({"setps": 3}, "did you mean 'steps'"),
    ],
)
def test_requests_that_make_no_sense(options, message):
    with pytest.raises(RequestError, match=message):
        attack(**options)


def test_a_model_that_cuts_the_gradient_is_refused():
    """METHODS 1.8, problem 4: with M_0 under no_grad, `div` would climb another objective."""
    student, teacher = affine(3, seed=0), affine(3, seed=1)

    def cut(batch, hidden=()):
        with torch.no_grad():
            return teacher(batch)

    for model, teachers in [(student, {"initial": cut}), (cut, {"initial": teacher})]:
        with pytest.raises(RequestError, match="one that cuts it"):
            view(tiny_batch(4), model, teachers, mode="div")
    assert view(tiny_batch(4), student, {"initial": cut}, mode="anchor").x.shape == (4, 3, 8, 8)


def test_wrong_batches_and_no_model(texts, images):
    with pytest.raises(RequestError, match="batch of images, got text"):
        view(texts, *lora_images())
    with pytest.raises(RequestError, match="before normalising"):
        view(replace(images, x=images.x * 3 - 1), *lora_images())
    with pytest.raises(RequestError, match="expected the model"):
        view(images, None, None, mode="self")
    assert len(attack().at(3)(images.take([]), None, None, Draws(0))) == 0
    unlabelled = Batch(images.x, torch.full_like(images.y, -100), images.ids)
    assert view(unlabelled, *lora_images(), mode="self").x.shape == images.x.shape
