"""What each baseline is made of, and that its training does what its formula says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tether import methods
from tether.errors import RequestError
from tether.finish import trained_state
from tether.methods import Initial, Saved, Trained
from tether.methods.method import teacher_source
from tether.objective import StepForwards, cross_entropy, distillation, evaluate_terms
from tether.shifts import Draws
from tether.teachers import Making, Teacher, bind
from tether.teachers.trained import key
from tether.training import Engine, TrainConfig, fit, frozen_runner
from tether.training.optimizer import make_optimizer
from tiny import ListExamples, darker, tiny_batch, tiny_model


def prepared(name: str, **options: object):
    """A method on the tiny model with a view that needs no shifts, its teachers bound."""
    method = methods.build(name, options)
    method = replace(method, views=dict.fromkeys(method.views, darker))
    model = tiny_model()
    torch.manual_seed(0)
    groups = method.tuning.apply(model)
    other = tiny_model()
    with torch.no_grad():
        other.heads["main"].weight.mul_(-1.5)
    others = {n: replace_runner(other) for n, s in method.teachers.items() if not isinstance(s, Initial)}
    teachers = {n: t.run for n, t in bind(method, model, others).items()}
    return method, model, groups, teachers, other


def replace_runner(model):
    return Teacher(frozen_runner(model))


def trained(tmp: Path, name: str, steps: int = 8, weight_decay: float | None = None, **options: object):
    method, model, groups, teachers, _ = prepared(name, **options)
    start = trained_state(model)
    recipe = TrainConfig(steps=steps, batch_size=16, lr=5e-3, weight_decay=weight_decay)
    fit(
        model, method, groups, ListExamples(tiny_batch(48)), teachers, recipe, Engine("fp32"), 0, tmp / name,
        "f", name,
    )  # fmt: skip
    return model, start


def first_loss(name: str, **options: object):
    method, model, _, teachers, other = prepared(name, **options)
    batch = tiny_batch(18)
    f = StepForwards(batch, method.views, model, teachers, Draws(0), (0, 1), model=model,
                     start=trained_state(model))  # fmt: skip
    return evaluate_terms(method.terms, f), model, batch, darker(batch, None, None, None), other


def distance(model, start) -> float:
    return sum(
        float((p.detach() - start[n]).square().sum())
        for n, p in model.named_parameters()
        if n.startswith("backbone") and n in start
    )


def test_l2_sp_stays_nearer_the_more_it_weighs(tmp_path: Path) -> None:
    far = [distance(*trained(tmp_path / str(a), "l2_sp", 20, a=a)) for a in (0.0, 1.0, 100.0)]
    assert far[0] > far[1] > far[2] > 0


def test_l2_sp_has_no_plain_decay_unless_the_config_gives_one() -> None:
    method, model, groups, _, _ = prepared("l2_sp")
    decays = {
        g["weight_decay"]
        for g in make_optimizer(model, groups, TrainConfig(), method.weight_decay).param_groups
    }
    assert decays == {0.0}
    given = TrainConfig(weight_decay=0.2)
    assert {g["weight_decay"] for g in make_optimizer(model, groups, given, 0.0).param_groups} == {0.2}


def test_no_other_method_keeps_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = []
    loop = sys.modules["tether.training.fit"]  # the package's own `fit` is the function
    monkeypatch.setattr(loop, "trained_state", lambda m: copies.append(1) or trained_state(m))
    trained(tmp_path, "lp_ft", 2)
    assert copies == []
    trained(tmp_path, "l2_sp", 2, a=0.0, b=0.0)
    assert copies == []
    trained(tmp_path / "second", "l2_sp", 2)
    assert copies == [1]


def test_l2_sp_resumes_towards_its_first_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", "l2_sp", 8, a=50.0)
    method, _, _, _, _ = prepared("l2_sp", a=50.0)
    for stop in (4, 8):  # the same run in two halves, the second from a checkpoint
        _, model, groups, _, _ = prepared("l2_sp", a=50.0)
        recipe = TrainConfig(steps=8, batch_size=16, lr=5e-3, checkpoint_every=4)
        one = replace(method, terms=tuple(_until(t, stop) for t in method.terms))
        try:
            fit(
                model, one, groups, ListExamples(tiny_batch(48)), {}, recipe, Engine("fp32"), 0,
                tmp_path / "halves", "f", "half",
            )  # fmt: skip
        except KeyboardInterrupt:
            assert stop == 4
    for a, b in zip(whole.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def _until(term, steps: int):
    calls = []

    def loss(f):
        calls.append(1)
        if len(calls) > steps + 1 and steps < 8:  # the trace is a call too
            raise KeyboardInterrupt
        return term.loss(f)

    return replace(term, loss=loss)


def test_ema_and_swa_end_elsewhere_than_the_last_step(tmp_path: Path) -> None:
    plain = trained(tmp_path, "lp_ft")[0].state_dict()
    averaged = trained(tmp_path, "ema")[0].state_dict()
    assert not torch.equal(plain["heads.main.weight"], averaged["heads.main.weight"])
    last = trained(tmp_path / "no", "ema", decay=0.0)[0].state_dict()
    assert all(torch.allclose(v, last[n]) for n, v in plain.items())
    tail = trained(tmp_path, "swa", last=1.0)[0].state_dict()
    assert not torch.equal(plain["heads.main.weight"], tail["heads.main.weight"])


def test_the_linear_variant_moves_the_classifier_alone(tmp_path: Path) -> None:
    model, start = trained(tmp_path, "wise_ft", variant="linear")
    assert set(start) == {"heads.main.weight", "heads.main.bias"}
    end = model.heads["main"].weight.detach().clone()
    method = methods.build("wise_ft", {"variant": "linear", "alpha": 0.25})
    method.finish.apply(model, start, lambda m: None)
    torch.testing.assert_close(
        model.heads["main"].weight.detach(), 0.75 * start["heads.main.weight"] + 0.25 * end
    )


@pytest.mark.parametrize("kd_on_clean", [False, True])
def test_hybrid_starts_at_its_task_loss_alone(kd_on_clean: bool) -> None:
    total, model, batch, _, _ = first_loss("hybrid_kd", kd_on_clean=kd_on_clean)
    want = cross_entropy(model(batch).logits["main"], batch.y).mean()
    torch.testing.assert_close(total.loss, want)
    wanted = {"ce", "robust", "act_l2"} | ({"kd_clean"} if kd_on_clean else set())
    assert set(total.values) == wanted
    for name in wanted - {"ce"}:
        assert abs(float(total.values[name])) < 1e-6


def test_hybrid_regularisers_have_zero_and_finite_gradients_at_the_start() -> None:
    method, model, _, teachers, _ = prepared("hybrid_kd", kd_on_clean=True)
    f = StepForwards(tiny_batch(18), method.views, model, teachers, Draws(0), (0, 1))
    loss = evaluate_terms([t for t in method.terms if t.name != "ce"], f).loss
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(bool(g.isfinite().all()) and float(g.abs().max()) < 1e-5 for g in grads)


def test_hybrid_splits_its_weight_over_shifted_and_clean() -> None:
    given = {"distillation_weight": 0.9, "kd_on_clean": True, "views": 2}
    weights = {t.name: t.weight for t in methods.build("hybrid_kd", given).terms}
    # three views alike: robust is a mean over two, so it has two thirds
    assert weights["robust"] == pytest.approx(0.6)
    assert weights["kd_clean"] == pytest.approx(0.3)


def test_the_printed_norm_stops_training_and_names_itself(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="not finite at step 1"):
        trained(tmp_path, "hybrid_kd", activation="literal")
    trained(tmp_path / "smoothed", "hybrid_kd")


def test_kd_clean_asks_for_no_shifted_view() -> None:
    total, model, batch, _, _ = first_loss("kd_clean")
    assert methods.build("kd_clean", {}).views == {}
    torch.testing.assert_close(total.loss, cross_entropy(model(batch).logits["main"], batch.y).mean())
    assert set(total.values) == {"ce", "kd"}


def one_head_by_hand(of_clean: str, T: float = 4.0) -> tuple[float, float]:
    total, model, clean, shifted, other = first_loss(f"{of_clean}", fraction=0.1)
    initial = tiny_model()
    by_name = {"single_teacher": other, "combined_head": initial}
    want = 0.0
    with torch.no_grad():
        for batch, teacher in ((clean, by_name[of_clean]), (shifted, other)):
            z, t = model(batch).logits["main"], teacher(batch).logits["main"]
            each = cross_entropy(z, batch.y) + distillation(z, t, T)
            want += float(each.sum())
    return float(total.loss.detach()), want / (2 * len(clean))


@pytest.mark.parametrize("name", ["single_teacher", "combined_head"])
def test_one_head_is_the_mean_over_all_examples(name: str) -> None:
    got, want = one_head_by_hand(name)
    assert got == pytest.approx(want, rel=1e-5)


def test_the_two_one_head_methods_differ_in_the_clean_teacher() -> None:
    assert one_head_by_hand("single_teacher")[0] != pytest.approx(one_head_by_hand("combined_head")[0])
    robust = Trained("robust_teacher", {"shifts": None, "severities": (1, 2, 3)}, model="small")
    assert methods.build("single_teacher", {}).teachers == {"robust": robust}
    assert methods.build("combined_head", {}).teachers == {"robust": robust, "initial": Initial()}


def test_a_robust_teacher_is_a_folder_a_name_or_a_method_with_options() -> None:
    assert teacher_source("runs/stn") == Saved("runs/stn")
    assert teacher_source("lp_ft") == Trained("lp_ft")
    assert teacher_source({"name": "aug_ce", "rank": 4}) == Trained("aug_ce", {"rank": 4})
    given = {"robust_teacher": {"name": "finetune", "label_smoothing": 0.1}}
    built = methods.build("single_teacher", given)
    assert built.teachers["robust"] == Trained("finetune", {"label_smoothing": 0.1})
    with pytest.raises(RequestError, match="name"):
        teacher_source({"rank": 4})


def test_apt_is_the_mean_over_clean_and_augmented_and_leaves_the_lower_part(tmp_path: Path) -> None:
    total, model, clean, shifted, _ = first_loss("apt", fraction=0.9)
    with torch.no_grad():
        each = [cross_entropy(model(b).logits["main"], b.y) for b in (clean, shifted)]
    assert float(total.loss.detach()) == pytest.approx(float(torch.cat(each).mean()), rel=1e-5)
    model, start = trained(tmp_path, "apt", fraction=0.9)
    fresh = tiny_model().state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh[name]) == (name not in start)


def test_a_soup_has_four_ingredients_of_unlike_seed_rate_and_augmentation() -> None:
    built = methods.build("soup", {})
    assert [(t.method, t.seed, t.lr_scale) for t in built.ingredients.values()] == [
        ("aug_ce", 1000, 1.0), ("lp_ft", 2000, 0.5), ("aug_ce", 3000, 0.5),
    ]  # fmt: skip
    assert [t.name for t in built.terms] == ["ce"]
    augmented = methods.build("soup", {"augmented": [True, False], "lr_scales": [1, 2]})
    assert [t.name for t in augmented.terms] == ["ce", "ce_shifted"]
    assert [(t.method, t.lr_scale) for t in augmented.ingredients.values()] == [("lp_ft", 2.0)]
    for wrong in ({"lr_scales": [1.0]}, {"lr_scales": [2.0, 1.0, 1.0, 1.0]}):
        with pytest.raises(RequestError, match="lr_scales"):
            methods.build("soup", wrong)


def test_an_ingredients_cache_key_tells_its_seed_start_and_rate_apart() -> None:
    def made(seed: int) -> Making:
        return Making(
            tiny_model, ListExamples(tiny_batch()), TrainConfig(steps=1), Engine("fp32"), seed, {"data": "d"},
            lambda m: None,
        )  # fmt: skip

    def name(source: Trained, seed: int = 0) -> str:
        return key(source, made(seed).varied(source))

    plain = Trained("finetune")
    assert name(plain) == key(plain, made(0))  # a teacher's key is what it was
    keys = [
        name(plain), name(Trained("finetune", seed=1000)), name(plain, 1000),
        name(Trained("finetune", lr_scale=0.5)), name(Trained("finetune", seed=500), 500),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)  # a random head starts by the run's seed, its order by the sum
