"""FLYP and CAR-FT on tiny two-tower models, their losses a second way, and what has no text tower refused."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch import Tensor

import tether
from tether import methods, tune
from tether.batch import Batch
from tether.errors import RequestError
from tether.finish import interpolate, trained_state
from tether.models import emoji_two_tower
from tether.models.config import ModelConfig
from tether.models.head_file import head_tensors
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.models.text_tower import TextHead
from tether.objective import StepForwards, evaluate_terms, info_nce
from tether.shifts import Draws
from tether.teachers.initial import initial_teacher
from tiny import tiny_bert
from towers import MODELS, saved

CLASSES = ("red", "green", "blue")


def pictures(n: int = 6) -> Batch:
    x = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def model_of(name: str, tmp: Path, templates: tuple[str, ...] = ("a photo of a {} .",)) -> Model:
    loaded = load_backbone(ModelConfig(name=str(saved(name, tmp / name)), templates=templates))
    assert loaded.make_head is not None
    return Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()


def logits(model: Model, batch: Batch, head: str = MAIN) -> Tensor:
    with torch.no_grad():
        return model(batch).logits[head]


@pytest.mark.parametrize("positives", [False, True])
def test_info_nce_is_the_loop_over_pictures_and_captions(positives: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    z, y = torch.randn(5, 3, generator=generator), torch.tensor([0, 2, 0, 1, 0])
    total = 0.0
    for i in range(5):
        right = [j for j in range(5) if (y[j] == y[i] if positives else j == i)]
        by_image = [math.exp(float(z[i, y[j]])) for j in range(5)]
        by_text = [math.exp(float(z[j, y[i]])) for j in range(5)]
        for scores in (by_image, by_text):
            total -= math.log(sum(scores[j] for j in right) / sum(scores)) / 10
    assert float(info_nce(z, y, positives)) == pytest.approx(total, rel=1e-5)


def test_a_target_shared_among_class_mates_has_the_value_of_the_published_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    image, words = (
        torch.nn.functional.normalize(torch.randn(n, 4, generator=generator), dim=-1) for n in (6, 3)
    )
    y = torch.tensor([0, 1, 2, 0, 0, 1])
    shared = emoji_two_tower.contrastive(image, words[y], torch.tensor(5.0))  # made the packaged model
    torch.testing.assert_close(info_nce(5.0 * image @ words.T, y), shared)
    assert float(info_nce(5.0 * image @ words.T, y, positives=True)) < float(shared) - 0.1


def test_info_nce_leaves_out_the_unlabelled_and_has_the_floor_of_equal_captions() -> None:
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([0, -100, 1, -100])
    torch.testing.assert_close(info_nce(z, y), info_nce(z[[0, 2]], y[[0, 2]]))
    nothing = info_nce(z.requires_grad_(), torch.full((4,), -100))
    nothing.backward()
    assert z.grad is not None
    assert nothing.item() == float(z.grad.abs().max()) == 0.0
    sure = torch.tensor([[50.0, 0.0], [50.0, 0.0]])
    assert float(info_nce(sure, torch.tensor([0, 0]))) == pytest.approx(math.log(2))
    assert float(info_nce(sure, torch.tensor([0, 0]), positives=True)) == pytest.approx(0.0, abs=1e-6)
    one = sure[:1].requires_grad_()
    info_nce(one, torch.tensor([0]), positives=True).backward()
    assert torch.isfinite(one.grad).all()


@pytest.mark.parametrize("name", MODELS)
def test_both_towers_start_at_the_zero_shot_model_and_both_learn(name: str, tmp_path: Path) -> None:
    model = model_of(name, tmp_path, ("a photo of a {} .", "a {} ."))
    start = logits(model, pictures())
    method = methods.build("flyp", {})
    groups = method.tuning.apply(model)
    model.train()
    with torch.no_grad():
        # SigLIP's bias is one number for all classes: it changes no probability, and the head has none.
        torch.testing.assert_close(model(pictures()).logits[MAIN].softmax(-1), start.softmax(-1))
    forwards = StepForwards(pictures(), {}, lambda b, h: model(b, h), {}, Draws(0), ())
    evaluate_terms(method.terms, forwards).loss.backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert set(map(id, groups["backbone"])) == set(map(id, trained.values()))
    moved = {n for n, p in trained.items() if p.grad is not None and p.grad.abs().max() > 0}
    assert any(n.startswith("backbone.network.") for n in moved)
    assert any(n.startswith("heads.main.tower.text_model") for n in moved)
    assert "heads.main.tower.logit_scale" in moved
    assert not any(n.endswith("logit_bias") for n in trained)
    assert all(p.grad is not None for n, p in trained.items() if n.startswith("heads."))
    assert not any(m.training for m in model.heads[MAIN].tower.modules())


@pytest.mark.parametrize("name", MODELS)
def test_the_trained_towers_are_saved_whole_and_the_library_agrees(name: str, tmp_path: Path) -> None:
    model = model_of(name, tmp_path)
    tune.towers().apply(model)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=generator) * 0.02)
    model.eval()
    want = logits(model, pictures())
    save_model(model, tmp_path / "out")

    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    assert again.classes == CLASSES
    assert again.head is not None
    back = Model(again.backbone, {MAIN: again.head}, CLASSES).eval()
    torch.testing.assert_close(logits(back, pictures()), want, rtol=1e-4, atol=1e-4)

    whole = hf.AutoModel.from_pretrained(tmp_path / "out").eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path / "out")
    padding = {"padding": "max_length", "max_length": 12} if name == "siglip" else {"padding": True}
    coded = tokenizer([f"a photo of a {c} ." for c in CLASSES], return_tensors="pt", **padding)
    with torch.no_grad():
        theirs = whole(pixel_values=(pictures().x - 0.5) / 0.5, **coded).logits_per_image
    torch.testing.assert_close(theirs.softmax(-1), want.softmax(-1), rtol=1e-3, atol=1e-4)


def test_the_kept_class_weights_follow_the_tower(tmp_path: Path) -> None:
    model = model_of("clip", tmp_path)
    tune.towers().apply(model)
    head = model.heads[MAIN]
    assert isinstance(head, TextHead)
    model.eval()
    before = logits(model, pictures())
    with torch.no_grad():
        assert head.class_weights() is head.class_weights()  # no text forward for the second batch
    start = trained_state(model)
    with torch.no_grad():
        for p in head.tower.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(6)))
    after = logits(model, pictures())
    assert (after - before).abs().max() > 1e-3
    interpolate(model, start, trained_state(model), 0.0)
    torch.testing.assert_close(logits(model, pictures()), before)
    kind, tensors = head_tensors(head)
    assert kind == "zero_shot"
    assert float(tensors["log_scale"]) == pytest.approx(2.0)


def test_car_ft_compares_contexts_as_the_library_does(tmp_path: Path) -> None:
    contexts = ("a photo of a", "a red", "a green")
    method = methods.build("car_ft", {"contexts": contexts, "weight": 0.7})
    model = model_of("clip", tmp_path)
    first = copy.deepcopy(model)
    tower = {k: v.clone() for k, v in model.backbone._whole[0].text_model.state_dict().items()}
    groups = method.tuning.apply(model)
    initial = initial_teacher(model, method.tuning)
    assert set(groups) == {"backbone", "head"}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"heads.context.weight", "heads.context.log_scale"}

    def values() -> dict[str, Tensor]:
        forwards = StepForwards(pictures(), {}, lambda b, h: model(b, h), {"initial": initial}, Draws(0), ())
        return evaluate_terms(method.terms, forwards).values

    assert float(values()["context"].abs()) < 1e-6  # step 0
    with torch.no_grad():
        for p in groups["backbone"]:
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(7)))

    def q(images: Model) -> Tensor:
        whole = hf.CLIPModel.from_pretrained(tmp_path / "clip").eval()  # the pretrained text tower
        tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path / "clip")
        with torch.no_grad():
            coded = tokenizer(list(contexts), padding=True, return_tensors="pt")
            t = whole.get_text_features(**coded).pooler_output
            phi = images.backbone.encode(pictures()).features
            t, phi = (v / v.norm(dim=-1, keepdim=True) for v in (t, phi))
            return (whole.logit_scale.exp() * phi @ t.T).softmax(-1)

    q0, qs = q(first), q(model)
    want = (q0 * (q0.log() - qs.log())).sum(-1).mean()
    assert float(want) > 1e-4
    torch.testing.assert_close(values()["context"], want, rtol=1e-3, atol=1e-6)
    now = model.backbone._whole[0].text_model.state_dict()
    assert all(torch.equal(now[k], v) for k, v in tower.items())


def test_what_has_no_text_tower_is_refused_before_a_run_begins(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(tiny_bert(tmp_path / "bert")))).backbone
    for name in ("flyp", "car_ft"):
        with pytest.raises(RequestError, match="needs a model with an image tower and a text tower"):
            methods.build(name, {}).tuning.fits(backbone)
    with pytest.raises(RequestError, match="at least two prompts"):
        methods.build("car_ft", {"contexts": ["a photo of a"]})
    with pytest.raises(RequestError, match=r"method\.templates"):
        methods.build("flyp", {"templates": ["a photo"]})


def test_a_run_leaves_no_folder_when_the_method_does_not_fit(tmp_path: Path) -> None:
    from project import make_project

    config = make_project(tmp_path, method="flyp")
    with pytest.raises(RequestError, match="text tower"):
        tether.train(str(config))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["flyp", "car_ft", "vpt"])
def test_a_run_is_saved_predicts_and_is_evaluated_as_it_was_measured(name: str, tmp_path: Path) -> None:
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    for split in ("train", "val", "test", "ood_test"):
        for k, colour in enumerate(CLASSES):
            domain = split[:3] == "ood"
            folder = tmp_path / "data" / split / ("dusk" if domain else ".") / colour
            folder.mkdir(parents=True)
            for i in range(16 if split == "train" else 8):
                x = torch.rand(3, 32, 32, generator=generator) * 120
                x[k] += 120
                Image.fromarray(x.permute(1, 2, 0).byte().numpy()).save(folder / f"{i}.png")
    config = {
        "model": {"name": str(saved("clip", tmp_path / "clip")), "templates": ["a photo of a {} ."]},
        "data": {"source": "folder", "path": str(tmp_path / "data")},
        "method": name,
        "train": {"steps": 4, "batch_size": 16, "lr": 1e-3},
        "evaluate": {"shifts": ["contrast"], "severities": [3]},
        "output": str(tmp_path / "run"),
    }
    run = tether.train(config)
    again = tether.evaluate(str(run.folder), config, output=str(tmp_path / "again"))
    for key in ("id_accuracy", "ood_accuracy", "synthetic_accuracy"):
        assert again.summary[key] == pytest.approx(run.summary[key])
    files = sorted(str(f) for f in (tmp_path / "data" / "test").rglob("*.png"))
    rows = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    recorded = sorted(
        tuple(round(p, 4) for p in r["probabilities"]) for r in rows if r["evalset"] == "id_test"
    )
    found = [p.probabilities for p in tether.predict(str(run.folder), files)]
    order = tuple(run.folder.joinpath("classes.json").read_text().split('"')[1::2])
    torch.testing.assert_close(
        torch.tensor(sorted(tuple(round(p[c], 4) for c in order) for p in found)),
        torch.tensor(recorded), rtol=0, atol=2e-4,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["flyp", "car_ft", "vpt", "lora"])
def test_a_teacher_so_trained_is_read_back_from_its_state(name: str, tmp_path: Path) -> None:
    """What the cache of trained teachers does: the tuning on a fresh model, then the whole state."""
    first, second = model_of("clip", tmp_path), model_of("clip", tmp_path)
    for model, seed in ((first, 0), (second, 1)):
        torch.manual_seed(seed)
        methods.build(name, {}).tuning.apply(model)
    with torch.no_grad():
        for p in first.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(8)))
    save_file({k: v.contiguous() for k, v in first.state_dict().items()}, tmp_path / "state.safetensors")
    second.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert torch.equal(logits(second.eval(), pictures()), logits(first.eval(), pictures()))
