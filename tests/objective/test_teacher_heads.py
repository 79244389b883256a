"""What L_robust compares (METHODS 1.2): each head by a second road, and all of them 0 at step 0."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tether import methods
from tether.batch import Output
from tether.errors import RequestError
from tether.methods import Method
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.masked_lm import word_head
from tether.models.model import Model
from tether.objective import StepForwards, evaluate_terms, robust
from tether.objective.anchors import centroids, similarities
from tether.objective.masked_words import bucketed, word_distance
from tether.objective.relations import relational
from tether.objective.robustness import cosine, sure
from tether.shifts import Draws, Supplies
from tether.shifts.masking import mask_words
from tether.supply import supplied
from tether.teachers.initial import initial_teacher
from tiny import (
    WORDS,
    ListExamples,
    TinyImages,
    darker,
    fixed,
    tiny_batch,
    tiny_bert,
    tiny_model,
    tiny_texts,
)

HEADS = ["logits", "anchor", "cos", "rkd"]


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def masked_bert(folder: Path) -> Path:
    """A tiny BERT saved with its masked-word head."""
    from transformers import BertConfig, BertForMaskedLM

    tiny_bert(folder)
    torch.manual_seed(1)
    network = BertForMaskedLM(BertConfig.from_pretrained(folder))
    network.save_pretrained(folder)
    return folder


def loaded_text(folder: Path):
    return load_backbone(ModelConfig(name=str(folder)))


def text_model(folder: Path) -> Model:
    return Model(
        loaded_text(folder).backbone, {"main": fixed(LinearHead(16, 2), seed=1)}, ("no", "yes")
    ).eval()


def supplies(batch, embed, **more) -> Supplies:
    return Supplies(ListExamples(batch), {}, ("a",), "these", embed, lambda name: None, **more)


def picture_supplies() -> Supplies:
    backbone = TinyImages()
    return supplies(tiny_batch(48), lambda b: backbone.encode(b).features.detach())


def text_supplies(folder: Path) -> Supplies:
    loaded = loaded_text(folder)
    return supplies(
        tiny_texts(16),
        lambda b: loaded.backbone.encode(b).features.detach(),
        word_head=lambda: word_head(loaded, ModelConfig(name=str(folder))),
    )


def at_step_0(method: Method, model: Model, batch) -> tuple[dict[str, float], list[torch.Tensor]]:
    torch.manual_seed(0)
    method.tuning.apply(model)
    run = initial_teacher(model, method.tuning)
    forwards = StepForwards(
        batch, method.views, model.train(), {"initial": run}, Draws(0), model.backbone.taps()
    )
    total = evaluate_terms([t for t in method.terms if t.name == "robust"], forwards)
    total.loss.backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    return {n: float(v) for n, v in total.values.items()}, [p.grad for p in trained if p.grad is not None]


CASES = [
    *itertools.product(["pictures", "texts"], HEADS, [False]),
    *itertools.product(["pictures", "texts"], ["logits", "anchor", "cos"], [True]),
    ("texts", "mlm", False),
]


@pytest.mark.parametrize(("kind", "head", "confident"), CASES)
def test_at_step_0_every_head_is_zero_with_finite_gradients(kind, head, confident, tmp_path: Path) -> None:
    shifts = ["tone"] if kind == "pictures" else ["word_swap"]
    options = {"alpha": 1.0, "target": "shifted", "shifts": shifts, "teacher_head": head, "views": 2}
    method = methods.build("rdft", {**options, "confidence_weight": confident})
    if kind == "pictures":
        method, model, batch = supplied(method, picture_supplies()), tiny_model(), tiny_batch()
    else:
        folder = masked_bert(tmp_path / "bert")
        method, model, batch = supplied(method, text_supplies(folder)), text_model(folder), tiny_texts(16)
    values, gradients = at_step_0(method, model, batch)
    assert values == {"robust": 0.0}
    assert gradients
    assert all(torch.isfinite(g).all() and g.abs().max() < 1e-5 for g in gradients)


def outputs(n: int = 6, width: int = 4, classes: int = 3) -> tuple[Output, Output]:
    return tuple(  # type: ignore[return-value]
        Output(rand(k, n, width), {"main": rand(k + 10, n, classes)}) for k in (0, 1)
    )


def test_cos_is_one_minus_the_cosine() -> None:
    s, t = outputs()
    expected = 1 - torch.nn.functional.cosine_similarity(s.features, t.features)
    torch.testing.assert_close(cosine().compare(s, t), expected)


def test_similarities_are_a_softmax_over_angles() -> None:
    x, anchors = rand(0, 5, 3), torch.nn.functional.normalize(rand(1, 7, 3), dim=-1)
    got = similarities(x, anchors, 0.05).softmax(-1)
    for i in range(5):
        cosines = [float(x[i] @ anchors[j] / x[i].norm()) for j in range(7)]
        powers = [math.exp(c / 0.05) for c in cosines]
        assert got[i].tolist() == pytest.approx([p / sum(powers) for p in powers], rel=1e-3)


def test_the_anchor_loss_is_kl_of_similarities_and_anchors_are_cached() -> None:
    asked = []
    base = picture_supplies()

    def embed(batch):
        asked.append(len(batch))
        return base.embed(batch)

    made = replace(base, embed=embed)
    anchors = centroids(made, 5)
    assert sum(asked) == 48
    assert anchors.shape == (5, 8)
    torch.testing.assert_close(anchors.norm(dim=-1), torch.ones(5))
    assert torch.equal(centroids(made, 5), anchors)
    assert sum(asked) == 48  # from the cache
    method = supplied(
        methods.build("rdft", {"teacher_head": "anchor", "anchors": 5, "target": "shifted"}), made
    )
    term = next(t for t in method.terms if t.name == "robust")
    student, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        student.backbone.network.stem.weight.mul_(1.2)
    f = StepForwards(tiny_batch(), {"shifted": darker}, student, {"initial": teacher}, Draws(0), (0, 1))
    p, q = (
        similarities(m(darker(tiny_batch(), None, None, None)).features, anchors)
        .softmax(-1)
        .detach()
        .double()
        for m in (teacher, student)
    )
    torch.testing.assert_close(term.loss(f).double(), (p * (p / q).log()).sum(-1), rtol=1e-3, atol=1e-6)


def test_there_are_no_more_anchors_than_different_samples() -> None:
    x = tiny_batch(4)
    twice = supplies(tiny_batch(4).take([0, 1, 2, 3, 0, 1]), lambda b: b.x.flatten(1)[:, :9])
    got = centroids(twice, 512)
    rows = torch.nn.functional.normalize(x.x.flatten(1)[:, :9], dim=-1)
    assert len(got) == 4  # as many as distinct inputs, and each is one of them
    assert all((rows - a).norm(dim=1).min() < 1e-5 for a in got)


def test_an_unprepared_term_says_what_to_do() -> None:
    for head in ("anchor", "mlm"):
        method = methods.build("rdft", {"teacher_head": head, "alpha": 1.0})
        term = next(t for t in method.terms if t.name == "robust")
        views = dict.fromkeys(("shifted", "masked_shifted"), darker)
        f = StepForwards(tiny_batch(), views, tiny_model(), {"initial": tiny_model()}, Draws(0), (0, 1))
        with pytest.raises(RequestError, match="prepared"):
            term.loss(f)


def huber(a: float, b: float) -> float:
    d = abs(a - b)
    return 0.5 * d * d if d < 1 else d - 0.5


def test_rkd_equals_loops_over_pairs_and_triplets() -> None:
    s, t = rand(0, 5, 3).double(), rand(1, 5, 4).double()

    def pairs(x):
        d = {(i, j): float((x[i] - x[j]).norm()) for i, j in itertools.product(range(5), repeat=2)}
        mean = sum(d.values()) / 20
        return {k: v / mean for k, v in d.items()}

    def cosine_at(x, j, i, k):
        a, b = x[i] - x[j], x[k] - x[j]
        return float(a @ b / (a.norm() * b.norm())) if i != j and k != j else 0.0

    a, b = pairs(s), pairs(t)
    distance = sum(huber(a[k], b[k]) for k in a) / 25
    angle = sum(
        huber(cosine_at(s, j, i, k), cosine_at(t, j, i, k))
        for j, i, k in itertools.product(range(5), repeat=3)
    )
    assert relational(s, t).item() == pytest.approx(25 * distance + 50 * angle / 125, rel=1e-4)


def test_rkd_ignores_rotation_and_scale_and_survives_equal_rows() -> None:
    x = rand(0, 8, 4)
    q, _ = torch.linalg.qr(rand(1, 4, 4))
    assert relational(3 * x @ q + 1, x) < 1e-5
    twice = torch.cat([x, x[:2]]).requires_grad_()
    relational(twice, rand(2, 10, 4)).backward()
    assert torch.isfinite(twice.grad).all()
    alone = x[:1].clone().requires_grad_()
    relational(alone, x[:1]).backward()
    assert torch.equal(alone.grad, torch.zeros(1, 4))


def test_the_gate_chooses_features_by_the_teachers_decision() -> None:
    """cos with `gated`: held samples are compared with phi_0(x~), the others with phi_0(x)."""
    student, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        teacher.heads["main"].bias.sub_(teacher(tiny_batch()).logits["main"].mean(0))
        student.backbone.network.stem.weight.mul_(1.3)
    f = StepForwards(tiny_batch(), {"shifted": darker}, student, {"initial": teacher}, Draws(0), (0, 1))
    clean, shifted = f.teacher("initial"), f.teacher("initial", "shifted")
    same = shifted.logits["main"].argmax(-1) == clean.logits["main"].argmax(-1)
    assert same.any()
    assert not same.all()
    s = f.student("shifted").features
    to = [1 - torch.nn.functional.cosine_similarity(s, o.features) for o in (shifted, clean)]
    for target, expected in [("gated", torch.where(same, *to)), ("shifted", to[0]), ("clean", to[1])]:
        got = robust(target, head=cosine()).loss(f)
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


def test_confidence_weights_are_one_minus_relative_entropy_with_mean_one() -> None:
    z = rand(0, 6, 4).double() * 2
    p = np.exp(z.numpy()) / np.exp(z.numpy()).sum(1, keepdims=True)
    w = 1 + (p * np.log(p)).sum(1) / np.log(4)
    np.testing.assert_allclose(sure(z).numpy(), w / w.mean(), rtol=1e-5)
    assert torch.isfinite(sure(torch.zeros(3, 4))).all()  # nobody is sure of anything
    student, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        student.heads["main"].weight.mul_(2)
    f = StepForwards(tiny_batch(), {"shifted": darker}, student, {"initial": teacher}, Draws(0), (0, 1))
    plain, weighted = robust("shifted").loss(f), robust("shifted", confidence_weight=True).loss(f)
    torch.testing.assert_close(weighted, plain * sure(f.teacher("initial", "shifted").logits["main"]))


def test_words_are_compared_in_the_teachers_buckets() -> None:
    s, t = rand(0, 3, 20).double(), rand(1, 3, 20).double()
    got = word_distance(s, t, most=4)
    for i in range(3):
        p, q = t[i].softmax(-1), s[i].softmax(-1)
        top = p.argsort(descending=True)[:4].tolist()
        rest = [v for v in range(20) if v not in top]
        expected = sum(float(p[v] * (p[v] / q[v]).log()) for v in top)
        pr, qr = float(p[rest].sum()), float(q[rest].sum())
        assert got[i].item() == pytest.approx(expected + pr * math.log(pr / qr), rel=1e-5)
    torch.testing.assert_close(bucketed(t, t.topk(4).indices).exp().sum(-1), torch.ones(3))
    whole = word_distance(s, t)  # fewer words than buckets: no rest
    p, q = t.float().softmax(-1), s.float().softmax(-1)
    torch.testing.assert_close(whole, (p * (p / q).log()).sum(-1))


def test_masking_leaves_special_tokens_and_belongs_to_the_sample(tmp_path: Path) -> None:
    model = text_model(masked_bert(tmp_path / "bert"))
    batch = tiny_texts(8)
    batch = replace(batch, x=("", *batch.x[1:]))  # a text without a word
    head = word_head(loaded_text(tmp_path / "bert"), ModelConfig(name=str(tmp_path / "bert")))
    tokens = model.backbone.tokens(batch.x)
    share = []
    for step in range(60):
        out = mask_words(batch, model, Draws(0, step))
        places = head.masked(out.x)
        assert not (places & ~tokens.free).any()
        assert places[0].sum() == 0
        assert (places[1:].sum(1) >= 1).all()
        alone = mask_words(batch.take([5, 3]), model, Draws(0, step))
        for row, i in enumerate((5, 3)):
            assert torch.equal(head.masked(alone.x)[row], places[i][: alone.x.shape[1]])
        kept = ~places & tokens.mask
        assert torch.equal(out.x[kept], model.backbone.embed(batch).x[kept])
        long = [i for i in range(8) if tokens.free[i].sum() >= 7]
        share.append(float(places[long].sum() / tokens.free[long].sum()))
    # Of texts with n words 0.15 of them, and one of those with none: (1 - .15)^n / n more.
    n = tokens.free[long].sum(1).double()
    expected = (0.15 * n + 0.85**n).sum() / n.sum()
    assert np.mean(share) == pytest.approx(float(expected), abs=0.03)


def test_the_word_head_gives_the_whole_models_words(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    folder = masked_bert(tmp_path / "bert")
    loaded = loaded_text(folder)
    head = word_head(loaded, ModelConfig(name=str(folder)))
    batch = tiny_texts(4)
    tokens = loaded.backbone.tokens(batch.x)
    whole = AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = whole(input_ids=tokens.ids, attention_mask=tokens.mask.long()).logits
        states = loaded.backbone.encode(batch, (head.block,)).hidden[head.block]
        torch.testing.assert_close(head(states[tokens.mask]), expected[tokens.mask])
    assert not any(p.requires_grad for p in head.parameters())
    assert WORDS[int(torch.tensor(4))] == "[MASK]"


def test_models_without_a_word_head_are_refused_with_the_reason(tmp_path: Path) -> None:
    plain = tiny_bert(tmp_path / "plain")
    with pytest.raises(RequestError, match=r"saved without its masked-word head.*sentence encoders"):
        word_head(loaded_text(plain), ModelConfig(name=str(plain)))
    pictures = replace(loaded_text(plain), backbone=TinyImages())
    with pytest.raises(RequestError, match="text model that fills masks"):
        word_head(pictures, ModelConfig(name=str(plain)))
    with pytest.raises(RequestError, match="student=lora"):
        methods.build("rdft", {"teacher_head": "mlm", "student": "full"})
    with pytest.raises(RequestError, match="got pictures"):
        mask_words(tiny_batch(2), tiny_model(), Draws(0))
