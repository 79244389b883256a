"""DAD's generator on teachers and quantisers made by hand: the rule, the ball, the control, the counts."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from discrete_parts import Grey, Slope, supplies_over

from tether.batch import Batch
from tether.errors import RequestError
from tether.files import cache_dir
from tether.shifts import Draws, get
from tether.shifts.discrete import dae as dae_module
from tether.shifts.discrete.adversary import Ascent, generate, scaled
from tether.shifts.discrete.dae import DaeSource, shift_of

NO_MOVE = Ascent(0.0, 0.0, 0, 0.0)
STRONG = Ascent(eps=60.0, step=60.0, steps=1, start=0.0)  # 4.2 at 3 x 16 x 16


@pytest.fixture
def greys() -> Batch:
    """12 flat pictures of 16 px at different greys; light ones are class 1."""
    level = torch.linspace(0.04, 0.96, 12)
    x = level[:, None, None, None].expand(-1, 3, 16, 16).contiguous()
    return Batch(x, (level > 0.5).long(), torch.arange(12) * 7 + 3)


def light(batch: Batch) -> Slope:
    """Says 1 when the mean is above one half."""
    weight = torch.full(batch.x.shape[1:], 1.0 / batch.x[0].numel())
    return Slope(weight, bias=-0.5)


def judged(teacher, x, batch):
    return teacher(replace(batch, x=x)).logits["main"].argmax(1) == batch.y


@pytest.mark.parametrize("ascent", [STRONG, Ascent(), NO_MOVE])
def test_kept_samples_satisfy_the_teacher_and_the_others_are_the_plain_reconstruction(ascent, greys):
    quantiser, teacher = Grey(5), light(greys)
    wrong = replace(greys, y=torch.where(torch.arange(12) % 4 == 0, 1 - greys.y, greys.y))
    made = generate(wrong, quantiser, teacher, ascent, Draws(0))
    assert judged(teacher, made.x, wrong)[made.kept].all()
    plain = (quantiser.quantise(wrong.x)[0] * 255).round() / 255
    assert torch.equal(made.x[~made.kept], plain[~made.kept])
    assert 0 < made.kept.sum() < 12


def test_rejections_are_those_counted_by_hand(greys):
    """The gradient of a slope is flat, so every value moves by as much, down for class 1, up for 0."""
    move = scaled(STRONG.step, greys.x) / math.sqrt(greys.x[0].numel())  # of each value
    assert move == pytest.approx(60 / math.sqrt(3 * 224 * 224), abs=1e-6)
    want = []
    for level, y in zip(greys.x[:, 0, 0, 0].tolist(), greys.y.tolist(), strict=True):
        plain = round(level * 5) / 5
        moved = min(1.0, max(0.0, plain + (-move if y else move)))
        again = round(moved * 5) / 5
        want.append((again > 0.5) == bool(y))
    made = generate(greys, Grey(5), light(greys), STRONG, Draws(0))
    assert made.kept.tolist() == want
    assert 0 < sum(want) < 12


def test_the_control_is_quantised_twice_under_the_same_rule(greys):
    """eps 0: VQ(VQ(x)) where the teacher says y, VQ(x) elsewhere; no gradient is asked for."""

    class Drifting(Grey):
        def quantise(self, x, most=None):
            rec, codes = super().quantise((x * 0.9).clamp(0, 1))
            return rec, codes

    quantiser, teacher = Drifting(7), light(greys)
    made = generate(greys, quantiser, teacher, NO_MOVE, Draws(0))
    once = quantiser.quantise(greys.x)[0]
    twice = quantiser.quantise(once)[0]
    right = judged(teacher, twice, greys)
    assert not torch.equal(once, twice)
    assert torch.equal(made.kept, right)
    torch.testing.assert_close(
        made.x, torch.where(right[:, None, None, None], twice, once), rtol=0, atol=0.002
    )
    assert made.moved.max() == 0


@pytest.mark.parametrize("steps", [1, 4])
def test_the_perturbation_stays_within_eps_before_quantising(images, steps):
    """What the quantiser gets the second time is seen by a quantiser that remembers."""
    seen = []

    class Remembering(Grey):
        def quantise(self, x, most=None):
            seen.append(x)
            return super().quantise(x)

    ascent = Ascent(eps=8.0, step=6.0, steps=steps, start=0.5)
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    made = generate(replace(images, y=images.y % 2), Remembering(), Slope(weight), ascent, Draws(3))
    plain = Grey().quantise(images.x)[0]
    moved = (seen[1] - plain).flatten(1).norm(dim=1)
    limit = 8.0 * math.sqrt(3 * 32 * 32 / (3 * 224 * 224))
    assert limit == pytest.approx(8 * 0.0143 / 0.1, rel=1e-2)  # METHODS 3.4 has this number
    assert moved.max() <= limit * (1 + 1e-5)
    assert moved.mean() > 0.3 * limit
    torch.testing.assert_close(made.moved, moved)
    assert seen[1].min() >= 0
    assert seen[1].max() <= 1


def test_one_step_is_the_written_formula(images):
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen = []

    class Remembering(Grey):
        def quantise(self, x, most=None):
            seen.append(x)
            return super().quantise(x)

    inside = replace(images, x=images.x * 0.5 + 0.25, y=torch.ones(64, dtype=torch.long))
    generate(inside, Remembering(8), Slope(weight), Ascent(1.0, 0.4, 1, 0.0), Draws(0))
    step = 0.4 * math.sqrt(3072 / 150528)
    # The loss of class 1 falls along w, so its gradient points against w.
    want = Grey(8).quantise(inside.x)[0] - step * weight / weight.norm()
    torch.testing.assert_close(seen[1], want, rtol=0, atol=1e-6)


def test_random_starts_come_to_four_in_five_and_belong_to_the_sample(images):
    ids = torch.arange(4000)
    many = Batch(torch.full((4000, 3, 8, 8), 0.5), torch.zeros(4000, dtype=torch.long), ids)
    flat = Slope(torch.zeros(3, 8, 8))  # no gradient anywhere: a step is random, and shorter than a start
    made = generate(many, Grey(), flat, Ascent(steps=0), Draws(1))
    assert abs(float((made.moved > 0).float().mean()) - 0.8) < 0.03
    some = generate(many.take([17, 5]), Grey(), flat, Ascent(steps=0), Draws(1))
    assert torch.equal(some.moved, made.moved[[17, 5]])


def test_without_a_gradient_the_step_is_random_and_finite(greys):
    made = generate(greys, Grey(), Slope(torch.zeros(3, 16, 16)), Ascent(1.0, 1.0, 1, 0.0), Draws(0))
    torch.testing.assert_close(made.moved[5:6], torch.tensor([scaled(1.0, greys.x)]))
    assert made.x.isfinite().all()


def test_a_sample_without_a_label_is_rejected(greys):
    made = generate(replace(greys, y=torch.full((12,), -100)), Grey(), light(greys), Ascent(), Draws(0))
    assert not made.kept.any()


def source_over(batch: Batch, ascent: Ascent = STRONG, **changes) -> DaeSource:
    options = {"name": "dae_lite", "quantiser": Grey(5), "ascent": ascent, "seed": 0, **changes}
    return DaeSource(supplies=options.pop("supplies", supplies_over(batch, light(batch))), **options)


def test_training_samples_are_looked_up_by_id_and_no_teacher_runs(greys):
    source = source_over(greys)
    shift = shift_of(source)
    first = shift(greys, 3, Draws(0))
    teacher = source.supplies.teacher("initial")
    calls = teacher.calls
    assert calls > 0
    rows = [7, 2, 11]
    again = shift(greys.take(rows), 3, Draws(9, step=4))  # the run's draws do not enter
    assert torch.equal(again.x, first.x[rows])
    assert teacher.calls == calls
    other = shift_of(source_over(greys))(greys, 3, Draws(0))
    assert torch.equal(other.x, first.x)


def test_the_store_holds_what_the_generator_gives(greys):
    source = source_over(greys)
    made = generate(greys, Grey(5), light(greys), source.at(3), Draws(0).spawn("dae"))
    torch.testing.assert_close(shift_of(source)(greys, 3, Draws(0)).x, made.x, rtol=0, atol=1e-6)


def test_other_samples_are_made_on_the_spot_beside_stored_ones(greys):
    stored = greys.take(range(6))
    source = source_over(stored)
    mixed = shift_of(source)(greys.take([8, 1, 10, 3]), 3, Draws(0))
    assert torch.equal(mixed.ids, greys.ids[[8, 1, 10, 3]])
    whole = shift_of(source_over(greys))(greys, 3, Draws(0))
    torch.testing.assert_close(mixed.x, whole.x[[8, 1, 10, 3]], rtol=0, atol=1e-6)
    assert sum(1 for _ in cache_dir().glob("dae/*/chunk-*.npy")) == 2  # one store of 6, one of 12


def test_severity_scales_eps_and_the_rejections_are_recorded(greys, capsys):
    source = source_over(greys, Ascent(60.0, 60.0, 1, 0.0))
    assert [source.at(s).eps for s in range(1, 6)] == [15, 30, 60, 120, 240]
    source.store(3)
    (about,) = [json.loads(p.read_text()) for p in cache_dir().glob("dae/*/about.json")]
    kept = generate(greys, Grey(5), light(greys), source.at(3), Draws(0)).kept
    rejected = int((~kept).sum())
    assert (about["rejected"], about["samples"]) == (rejected, 12)
    assert about["rejection_rate"] == rejected / 12
    assert f"{rejected} of 12 examples rejected" in capsys.readouterr().err.replace("\n", " ")


def test_the_key_changes_with_all_that_the_examples_depend_on(greys):
    first = source_over(greys)
    others = [
        source_over(greys, Ascent()),
        source_over(greys, seed=1),
        source_over(replace(greys, y=1 - greys.y)),
        source_over(replace(greys, x=1 - greys.x)),
        source_over(greys, supplies=supplies_over(greys, light(greys), fingerprint="another model")),
    ]
    changed = Grey(5)
    changed.key = "retrained"
    others.append(source_over(greys, quantiser=changed))
    keys = [first.key(3), first.key(4), *(o.key(3) for o in others)]
    assert len(set(keys)) == len(keys)
    assert source_over(greys).key(3) == first.key(3)


def test_another_picture_size_is_refused(greys):
    shift = shift_of(source_over(greys))
    shift(greys, 3, Draws(0))
    with pytest.raises(RequestError, match=r"of shape \(3, 16, 16\), .* got \(3, 16, 12\)"):
        shift(replace(greys, x=greys.x[..., :12]), 3, Draws(0))


def test_options_are_checked_and_named():
    assert get("dae").name == "dae_lite"
    assert get({"name": "dae", "vq_only": True}).name == "dae_lite_vq_only"
    assert get({"name": "dae", "backend": "diffusers", "weights": "a/b"}).name == "dae"
    for option, message in [
        ({"eps": 0.0}, "say vq_only"),
        ({"random_start": 1.5}, "a probability"),
        ({"severities": [0]}, "1 to 5"),
        ({"backend": "diffusers"}, "needs the option weights"),
        ({"steps": 0}, "at least 1 step"),
        ({"backend": "jpeg"}, "patch_kmeans"),
        ({"step_size": -1.0}, "above 0"),
        ({"ascents": -1}, "0 or more"),
    ]:
        with pytest.raises(RequestError, match=message):
            get({"name": "dae", **option})


def test_the_recipe_builds_listed_severities_and_turns_off_autocast(greys, monkeypatch, images):
    monkeypatch.setattr(dae_module, "quantiser_of", lambda *a: Grey(5))
    shift = get({"name": "dae", "severities": [2]}).prepared(supplies_over(greys, light(greys)))
    assert len(list(cache_dir().glob("dae/*/about.json"))) == 1
    plain = shift(greys, 2, Draws(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(shift(greys, 2, Draws(0)).x, plain.x)
    half = replace(greys, x=greys.x.to(torch.float16))
    assert shift(half, 2, Draws(0)).x.dtype == torch.float16
