"""`adv_embedding`, and views that hold raw rows beside embedded ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from attacked import affine, lora_images, lora_texts, stir, text_model

from tether import tune
from tether.batch import Batch, concatenate
from tether.errors import RequestError
from tether.objective import Plan, StepForwards, activation, ce, evaluate_terms, robust
from tether.shifts import Attack, Draws, get, mixture
from tether.shifts.adversarial.budget import FACTORS
from tether.shifts.adversarial.objective import Goal
from tether.shifts.adversarial.rest import at_rest
from tether.shifts.joining import in_one_space
from tether.teachers.initial import initial_teacher
from tether.training import frozen_runner
from tiny import tiny_batch, tiny_texts

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return lora_texts(tmp_path_factory.mktemp("texts"))


def view(batch, model, teachers, severity=3, draws=None, **options):
    attack = get({"name": "adv_embedding", **options})
    return attack.at(severity)(batch, model, teachers, draws or Draws(0, step=5))


def clean(model, batch) -> Batch:
    with torch.no_grad():
        return model.backbone.embed(batch)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("options", [{}, {"mode": "self"}, {"recipe": "smart"}, {"start": 0.05, "steps": 2}])
def test_delta_is_within_the_budget_and_zero_on_padding_and_special_tokens(made, options, severity):
    model, teachers = made
    batch = replace(tiny_texts(8), group=torch.arange(8))
    out, e = view(batch, model, teachers, severity, **options), clean(model, batch)
    assert (out.space, out.x.shape, out.x.dtype) == (e.space, e.x.shape, torch.float32)
    assert torch.equal(out.mask, e.mask)
    assert torch.equal(out.ids, batch.ids)
    assert torch.equal(out.group, batch.group)
    delta = out.x - e.x
    ids = model.backbone.tokens(batch.x).ids
    fixed = (ids == 0) | (ids == 2) | (ids == 3)  # [PAD] [CLS] [SEP]
    assert fixed.any(1).all()
    assert (delta[fixed] == 0).all()
    assert (delta[~fixed].abs().amax(-1) > 0).all()
    length = (e.x * e.mask[..., None]).flatten(1).norm(dim=1)
    size = delta.flatten(1).norm(dim=1)
    assert (size <= 0.1 * FACTORS[severity - 1] * length * (1 + 1e-4)).all()
    assert (size > 0).all()


def test_at_the_start_auto_moves_the_student_and_the_printed_formula_is_zero(made, tmp_path):
    model, teachers = made
    batch = tiny_texts(8)
    out = view(batch, model, teachers)
    with at_rest(model, CPU), torch.no_grad():
        assert Goal("div").objective(batch, model, teachers, 0)(out).abs().max() == 0
        j = Goal("auto").objective(batch, model, teachers, 0)
        assert j(batch).abs().max() < 1e-7
        assert (j(out) > 1e-6).all()
        noise = view(batch, model, teachers, start=1e-4, steps=1, step_size=1e-4)
        assert (j(out) > j(noise)).all()


@pytest.mark.parametrize("mode", ["div", "teacher", "self"])
def test_j_rises(mode, tmp_path):
    model, teachers = lora_texts(tmp_path)
    stir(model)
    batch = tiny_texts(8)
    out = view(batch, model, teachers, mode=mode)
    with at_rest(model, CPU), torch.no_grad():
        j = Goal(mode).objective(batch, model, teachers, 0)
        assert (j(out) > j(batch)).float().mean() > 0.7


def test_a_texts_view_does_not_hang_on_its_neighbours_or_their_length(tmp_path):
    model, teachers = lora_texts(tmp_path)
    stir(model)
    batch = tiny_texts(8)
    whole, rows = view(batch, model, teachers), [2, 1]  # short ones: another padding
    part = view(batch.take(rows), model, teachers)
    t = part.x.shape[1]
    assert t < whole.x.shape[1]
    mask = part.mask[..., None]
    torch.testing.assert_close(part.x * mask, whole.x[rows, :t] * mask, rtol=0, atol=1e-4)
    again = view(batch, model, teachers)
    assert torch.equal(again.x, whole.x)
    assert not torch.equal(view(batch, model, teachers, draws=Draws(0, step=6)).x, whole.x)


def test_smart_takes_steps_of_its_own_kind(made):
    """One step of 1e-3 times g / max|g|, from noise of deviation 1e-5."""
    model, teachers = made
    batch = tiny_texts(4)
    out = view(batch, model, teachers, mode="self", recipe="smart", eps=1.0)
    delta = (out.x - clean(model, batch).x).flatten(1)
    largest = delta.abs().amax(1)
    # Best of start and end: a text that the step does not serve keeps its start.
    assert ((largest - 1e-3).abs() < 6e-5).float().mean() > 0.7
    with at_rest(model, CPU), torch.no_grad():
        one, both = (Goal("anchor", symmetric=s).objective(batch, model, teachers, 0)(out) for s in (0, 1))
        student = torch.log_softmax(model(out).logits["main"], -1)
        first = torch.log_softmax(model(batch).logits["main"], -1)
        back = (student.exp() * (student - first)).sum(-1)
    torch.testing.assert_close(both, one + back, rtol=1e-3, atol=1e-9)


def test_a_mixture_of_strings_and_embeddings_is_each_part_by_itself(made):
    model, teachers = made
    batch, draws = tiny_texts(24), Draws(3, step=2)
    batch = replace(batch, ids=torch.arange(24) + 50, group=torch.arange(24))
    names = ["word_swap", "adv_embedding"]
    mixed = mixture(names, [4])
    out = mixed(batch, model, teachers, draws)
    assert out.space == model.backbone.family
    assert torch.equal(out.ids, batch.ids)
    assert torch.equal(out.group, batch.group)
    inner = draws.spawn("mixture")
    which = inner.integers(batch.ids, 0, 2, (), "shift")
    assert set(which.tolist()) == {0, 1}
    for i in range(24):
        row = batch.take([i])
        alone = get(names[int(which[i])]).at(4)(row, model, teachers, inner)
        want = clean(model, alone) if alone.space == "raw" else alone
        n = int(want.mask.sum())
        assert int(out.mask[i].sum()) == n
        torch.testing.assert_close(out.x[i, :n], want.x[0, :n], rtol=0, atol=1e-4)
    with torch.no_grad():  # and the model reads it as it reads the parts
        whole = model.eval()(out).logits["main"]
        for i in (0, 5):
            torch.testing.assert_close(model(out.take([i])).logits["main"][0], whole[i], rtol=1e-4, atol=1e-4)
    model.train()
    only_raw = mixture(["word_swap", "word_dropout"], [4])(batch, model, teachers, draws)
    assert only_raw.space == "raw"


def test_embeddings_of_several_lengths_are_padded(made):
    model, _ = made
    parts = [clean(model, tiny_texts(4).take(rows)) for rows in ([2], [3, 0], [1])]
    whole = concatenate(parts)
    assert whole.x.shape[:2] == whole.mask.shape == (4, max(p.x.shape[1] for p in parts))
    assert whole.mask.sum(1).tolist() == [3, 11, 6, 8]
    assert (whole.x[0, 3:] == 0).all()
    torch.testing.assert_close(whole.x[0, :3], parts[0].x[0])


def test_two_embedded_views_run_in_one_forward(tmp_path):
    model, teachers = lora_texts(tmp_path)
    views = {
        "shifted": mixture(["adv_embedding"]),
        "other": mixture(["word_dropout", "adv_embedding"], [5], stream="other"),
    }
    terms = (ce(), robust("gated"), robust("shifted", view="other", name="other"), activation(view="other"))
    plan = None
    for _ in range(2):
        f = StepForwards(tiny_texts(16), views, model, teachers, Draws(0, 1), model.backbone.taps(), plan)
        values = evaluate_terms(terms, f).values
        plan = f.traced
        assert isinstance(plan, Plan)
    assert all(torch.isfinite(v) for v in values.values())


def test_rows_that_cannot_be_joined(made):
    model, _ = made
    e = clean(model, tiny_texts(2))
    for parts, asked, message in [
        ([e, tiny_texts(2)], None, "no model to embed"),
        ([e, replace(e, space="other")], model, "one model"),
        ([replace(e, space="other"), tiny_texts(2)], model, "against this model"),
    ]:
        with pytest.raises(RequestError, match=message):
            in_one_space(parts, asked)
    assert in_one_space([e, e], None) == [e, e]
    assert [p.space for p in in_one_space([tiny_texts(2)], None)] == ["raw"]


def test_only_models_with_the_same_table_read_an_embedded_view(tmp_path):
    model, teachers = lora_texts(tmp_path / "a")
    twin = text_model(tmp_path / "b")
    out = view(tiny_texts(4), model, teachers)
    twin(out)  # the same numbers in its table
    assert twin.backbone.family == model.backbone.family
    with torch.no_grad():
        twin.backbone.table[7] += 1e-3
    assert twin.backbone.family != model.backbone.family
    with pytest.raises(RequestError, match="only models that share the token embeddings"):
        frozen_runner(twin)(out)
    with pytest.raises(RequestError, match="only models that share"):
        twin.backbone.embed(replace(out, space="gpt2-embeddings"))
    # A teacher whose table was trained apart is found out when a term first asks it.
    f = StepForwards(
        tiny_texts(4), {"shifted": mixture(["adv_embedding"])}, model,
        {**teachers, "task": frozen_runner(twin)}, Draws(0), model.backbone.taps(),
    )  # fmt: skip
    with pytest.raises(RequestError, match="use a shift that gives texts"):
        f.teacher("task", "shifted")


def test_a_student_whose_embeddings_train_loses_its_first_teacher(tmp_path):
    model = text_model(tmp_path)
    tuning = tune.full()
    tuning.apply(model)
    teachers = {"initial": initial_teacher(model, tuning)}
    view(tiny_texts(4), model, teachers)
    with torch.no_grad():
        model.backbone.table.mul_(1.01)
    with pytest.raises(RequestError, match="share the token embeddings"):
        view(tiny_texts(4), model, teachers, mode="div")
    assert view(tiny_texts(4), model, {}, mode="self").space == model.backbone.family


def test_models_without_tokens_are_refused(made):
    model, teachers = made
    images, _ = lora_images()
    with pytest.raises(RequestError, match=r"text model of the transformers library.*TinyImages"):
        view(tiny_texts(2), images, {}, mode="self")
    with pytest.raises(RequestError, match="got Affine"):
        view(tiny_texts(2), affine(), {}, mode="self")
    with pytest.raises(RequestError, match="batch of texts, got image"):
        view(tiny_batch(2), model, teachers)
    attack = get("adv_embedding")
    assert isinstance(attack, Attack)
    assert (attack.space, attack.teachers) == ("embedding", ("initial",))
    assert get({"name": "adv_embedding", "mode": "self"}).teachers == ()


def test_texts_without_a_free_token_come_back_as_they_are(made):
    model, teachers = made
    batch = Batch(("", "[MASK]", "good"), torch.zeros(3).long(), torch.arange(3))
    delta = view(batch, model, teachers).x - clean(model, batch).x
    assert (delta[:2] == 0).all()
    assert delta[2].abs().max() > 0


def test_gradients_and_modes_are_left_alone(made):
    model, teachers = made
    flags = {n: p.requires_grad for n, p in model.named_parameters()}
    modes = {n: m.training for n, m in model.named_modules()}
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    for name in ("adv_embedding", "adv_substitution"):
        get(name).at(3)(tiny_texts(4), model, teachers, Draws(0))
    assert flags == {n: p.requires_grad for n, p in model.named_parameters()}
    assert modes == {n: m.training for n, m in model.named_modules()}
    assert all((p.grad == 1).all() for p in model.parameters())
    for p in model.parameters():
        p.grad = None
