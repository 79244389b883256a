"""Document 003's losses, gradients and teachers (METHODS 4 and property 8)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tether
from project import make_project
from tether import methods
from tether.errors import RequestError
from tether.methods import Initial, Method, Saved, Trained
from tether.models.model import MAIN, Model
from tether.objective import StepForwards, evaluate_terms
from tether.prediction.selection import COMBINED, UNCLEAN
from tether.shifts import Draws
from tether.teachers.initial import initial_teacher
from tether.training import frozen_runner
from tiny import darker, tiny_batch, tiny_model


def other_teacher() -> Model:
    teacher = tiny_model()
    with torch.no_grad():
        teacher.heads[MAIN].weight.mul_(-2.0)
    return teacher


def step(only: str | None = None, **options: Any) -> tuple[Model, Method, StepForwards]:
    """One step's forwards; `only` keeps the terms on that part."""
    method = replace(methods.build("three_head", {"fraction": 0.9, **options}), views={"shifted": darker})
    model = tiny_model()
    method.tuning.apply(model)
    generator = torch.Generator().manual_seed(3)
    runners = {
        name: initial_teacher(model, method.tuning) if isinstance(source, Initial) else None
        for name, source in method.teachers.items()
    }
    runners = {n: r or frozen_runner(other_teacher()) for n, r in runners.items()}
    with torch.no_grad():  # somewhere in training: the heads are no longer alike
        for head in (getattr(h, "head", h) for h in model.heads.values()):
            head.weight.add_(torch.randn(head.weight.shape, generator=generator) * 0.3)
    if only is not None:
        method = replace(method, terms=tuple(t for t in method.terms if only in t.name))
    forwards = StepForwards(
        tiny_batch(8), method.views, model, runners, Draws(0), model.backbone.taps(), None, model
    )
    return model, method, forwards


def written_out(model: Model, single: bool) -> float:
    """Equations 3 to 5 with plain torch functions, example by example."""
    clean, x = tiny_batch(8), darker(tiny_batch(8), None, None, None)
    start, stn = tiny_model(), other_teacher()
    total = 0.0

    def ce(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(z, y)

    def kd(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        p, q = torch.softmax(t / 4, -1), torch.softmax(z / 4, -1)
        return 16 * (p * (p / q).log()).sum()

    with torch.no_grad():
        z, za = model(clean).logits, model(x).logits
        orig = (stn if single else start)(clean).logits[MAIN]
        robust = stn(x).logits[MAIN]
        for i in range(8):
            y = clean.y[i]
            for head in (MAIN, COMBINED):
                total += float(ce(z[head][i], y) + kd(z[head][i], orig[i]))
            for head in (UNCLEAN, COMBINED):
                total += float(ce(za[head][i], y) + kd(za[head][i], robust[i]))
    return total / 16  # the mean over all 2 B examples


@pytest.mark.parametrize("teachers", ["corrected", "single"])
def test_the_loss_is_the_mean_over_clean_and_augmented_examples(teachers: str) -> None:
    model, method, forwards = step(teachers=teachers)
    model.eval()  # dropout off, so that both roads see the same network
    loss = float(evaluate_terms(method.terms, forwards).loss.detach())
    assert loss == pytest.approx(written_out(model, teachers == "single"), rel=1e-4)


def test_the_two_teachers_are_not_one() -> None:
    assert written_out(tiny_like(), False) != pytest.approx(written_out(tiny_like(), True), rel=1e-2)


def tiny_like() -> Model:
    model, _, _ = step()
    return model.eval()


def grads(model: Model, method: Method, forwards: StepForwards) -> dict[str, bool]:
    model.train()
    torch.manual_seed(0)
    evaluate_terms(method.terms, forwards).loss.backward()
    return {name: p.grad is not None for name, p in model.named_parameters()}


def of(found: dict[str, bool], start: str) -> set[bool]:
    return {has for name, has in found.items() if name.startswith(start)}


@pytest.mark.parametrize(
    ("only", "gone", "there"),
    [("clean", UNCLEAN, MAIN), ("shifted", MAIN, COMBINED), ("unclean", MAIN, UNCLEAN)],
)
def test_each_part_of_the_batch_leaves_the_other_s_head_without_a_gradient(
    only: str, gone: str, there: str
) -> None:
    model, method, forwards = step()
    # "clean" also ends the name of "unclean".
    terms = [t for t in method.terms if t.name.split("_", 1)[1] in {
        "clean": ("clean", "combined_clean"), "shifted": ("combined_shifted",), "unclean": ("unclean",)
    }[only]]  # fmt: skip
    found = grads(model, replace(method, terms=tuple(terms)), forwards)
    assert of(found, f"heads.{gone}.weight") == {False}
    assert of(found, f"heads.{there}.weight") == {True}
    assert of(found, "backbone.network.blocks.1") == {True}  # M_s learns from both


def test_the_backbone_has_no_gradient() -> None:
    model, method, forwards = step()
    found = grads(model, method, forwards)
    assert of(found, "backbone.network.stem") == {False}
    assert of(found, "backbone.network.blocks.0") == {False}
    assert of(found, "heads") == {True}


def test_sections_of_their_own_get_their_own_gradients_only() -> None:
    model, method, forwards = step(section="block")
    clean = tuple(t for t in method.terms if t.name.endswith("_clean") and "unclean" not in t.name)
    found = grads(model, replace(method, terms=clean), forwards)
    assert of(found, f"heads.{UNCLEAN}.section") == {False}
    assert of(found, f"heads.{COMBINED}.section") == {True}
    assert of(found, "backbone.network.blocks.1") == {True}  # the clean head's section


def test_single_needs_no_initial_teacher_and_corrected_does() -> None:
    assert set(methods.build("three_head", {"teachers": "single"}).teachers) == {"robust"}
    corrected = methods.build("three_head", {})
    assert corrected.teachers["initial"] == Initial()
    assert corrected.teachers["robust"] == Trained(
        "robust_teacher", {"shifts": None, "severities": (1, 2, 3)}, model="small"
    )
    assert methods.build("three_head", {"robust_teacher": "runs/a"}).teachers["robust"] == Saved("runs/a")


def test_pictures_get_augmix_and_pixmix_and_the_data_s_own_come_first() -> None:
    view = methods.build("three_head", {}).views["shifted"]
    assert [s.name for s in view.among("image")] == ["augmix", "pixmix"]
    assert [s.name for s in view.among("text")] == [
        s.name for s in methods.build("aug_ce", {}).views["shifted"].among("text")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.0}, "method.dropout"),
        ({"passes": 1}, "at least 2"),
        ({"selection": "best"}, "selection"),
        ({"fraction": 2.0}, "method.fraction"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        methods.build("three_head", options)


def test_the_initial_teacher_carries_no_copies_of_its_section() -> None:
    model = tiny_model()
    method = methods.build("three_head", {"fraction": 0.9, "section": "block"})
    method.tuning.apply(model)
    run = initial_teacher(model, method.tuning)
    model.train()
    output = run(tiny_batch(4))
    assert list(output.logits) == [MAIN]
    assert torch.equal(output.logits[MAIN], tiny_model()(tiny_batch(4)).logits[MAIN])  # and no dropout


THREE: dict[str, Any] = {
    "name": "three_head", "fraction": 0.9, "teacher_model": None, "passes": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tether.run.Run:
    folder = tmp_path_factory.mktemp("three")
    return tether.train(str(make_project(folder, method=THREE)))


def test_a_run_predicts_by_its_rule_from_every_door(run: tether.run.Run, tmp_path: Path) -> None:
    import json

    import pyarrow.parquet as pq

    from tether.config import load_config
    from tether.data import load_data
    from tether.prediction import rule_of, softmax_main

    folder = run.folder
    said = json.loads((folder / "model" / "predict.json").read_text())
    assert said["name"] == "select_head"
    assert said["options"]["u0"] > 0
    assert said["options"]["k0"] > 0
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len(log[0]["terms"]) == 8
    assert run.summary["teacher_seconds"] > 0

    model = tether.load(folder)
    table = pq.read_table(folder / "predictions.parquet").to_pylist()
    rows = [r for r in table if r["evalset"] == "id_test" and r["severity"] == 0]
    data = load_data(load_config(str(folder.parent / "config.yaml")).data)
    batch = data.id_test.batch(range(len(rows)))
    first = batch.x
    assert batch.ids.tolist() == [r["id"] for r in rows]
    expected = torch.tensor([r["probabilities"] for r in rows])
    torch.testing.assert_close(model.probabilities(batch), expected, rtol=0, atol=1e-5)
    assert (rule_of(said).run(model, batch) - softmax_main.run(model, batch)).abs().max() > 1e-4

    listed = tmp_path / "texts.txt"
    listed.write_text("\n".join(first[:5]) + "\n")
    forward = tether.predict(str(folder), [str(listed)])
    listed.write_text("\n".join(reversed(first[:5])) + "\n")
    backward = tether.predict(str(folder), [str(listed)])
    for a, b in zip(forward, reversed(backward), strict=True):
        assert a.probability == pytest.approx(b.probability, abs=1e-5)  # its place in the list is nothing

    again = tether.evaluate(str(folder), str(folder.parent / "config.yaml"), output=str(tmp_path / "again"))
    assert again.summary["id_accuracy"] == run.summary["id_accuracy"]
    second = pq.read_table(again.folder / "predictions.parquet").to_pylist()
    for a, b in zip(table, second, strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-5)


def test_the_robust_teacher_may_start_from_another_model(run: tether.run.Run, tmp_path: Path) -> None:
    from tiny import tiny_bert

    small = tiny_bert(tmp_path / "small", layers=1, width=8, seed=3)
    project = make_project(tmp_path / "p", method={**THREE, "teacher_model": str(small)})
    other = tether.train(str(project))
    assert other.summary["teacher_seconds"] > 0
    assert other.summary["id_accuracy"] >= 0
    again = tether.train(str(project), output=str(tmp_path / "second"))
    assert again.summary["teacher_seconds"] == other.summary["teacher_seconds"]  # found in the cache


def test_a_run_with_the_oracle_is_measured_but_does_not_predict(tmp_path: Path) -> None:
    project = make_project(tmp_path, method={**THREE, "selection": "oracle"})
    done = tether.train(str(project))
    listed = tmp_path / "texts.txt"
    listed.write_text("a good film\n")
    with pytest.raises(RequestError, match="the oracle picks the head that is right"):
        tether.predict(str(done.folder), [str(listed)])


def test_early_stopping_judges_with_a_calibrated_rule(tmp_path: Path) -> None:
    project = make_project(
        tmp_path, method=THREE, train={"steps": 4, "batch_size": 16, "patience": 1, "validate_every": 2}
    )
    done = tether.train(str(project))
    assert (done.folder / "validation.jsonl").is_file()


def test_a_given_teacher_is_used(run: tether.run.Run, tmp_path: Path) -> None:
    project = make_project(tmp_path, method={**THREE, "robust_teacher": str(run.folder)})
    done = tether.train(str(project))
    assert done.summary["teacher_seconds"] == 0


def test_small_means_the_packaged_model_of_the_data_s_kind(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from tether.config import load_config
    from tether.scene import on_model
    from tiny import ListExamples, tiny_texts

    config = load_config(str(make_project(tmp_path)))
    pictures = SimpleNamespace(train=ListExamples(tiny_batch(2)))
    texts = SimpleNamespace(train=ListExamples(tiny_texts(2)))
    assert on_model(config, "small", pictures).model.name == "mobilenet-v2"
    assert on_model(config, "small", texts).model.name == "minilm-l3"
    assert on_model(config, config.model.name, texts) is config


def test_the_cost_is_estimated_with_its_teacher(tmp_path: Path) -> None:
    from tether.config import load_config
    from tether.estimate import estimate
    from tether.scene import ingredients

    config = load_config(str(make_project(tmp_path, method=THREE)))
    found = estimate(config, *ingredients(config))
    assert found.step_seconds > 0
    assert found.teacher_seconds > 0
    assert found.test_seconds > 0
