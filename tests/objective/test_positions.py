"""Feature reductions and rows of RAR (METHODS 1.5 and 1.6) against loops, and in the loop of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tether import tune
from tether.errors import RequestError
from tether.methods import Initial, Method
from tether.objective import StepForwards, activation, ce, features
from tether.objective.features import distance, feature_distance
from tether.objective.positions import positions, sampled
from tether.objective.rar import correlations, rar
from tether.shifts import Draws
from tether.teachers import bind
from tether.training import Engine, TrainConfig, fit
from tiny import ListExamples, darker, tiny_batch, tiny_model

MASK = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]).bool()


def hidden(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def normalised(row: np.ndarray) -> np.ndarray:
    return (row - row.mean()) / np.sqrt(row.var() + 1e-5)


@pytest.mark.parametrize("tokens", ["all", "cls", "mean"])
@pytest.mark.parametrize("reduction", ["sum", "mean", "ln", "nmse"])
def test_reductions_equal_loops(reduction: str, tokens: str) -> None:
    s, t = hidden(0, 3, 4, 5), hidden(1, 3, 4, 5)
    pairs = []
    for i in range(3):
        valid = [j for j in range(4) if MASK[i, j]]
        a, b = s[i].double().numpy(), t[i].double().numpy()
        if tokens == "mean":
            pairs.append((a[valid].mean(0), b[valid].mean(0)))
        else:
            pairs += [(a[j], b[j]) for j in (valid if tokens == "all" else [0])]
    if reduction == "ln":
        pairs = [(normalised(a), normalised(b)) for a, b in pairs]
    total = sum(((a - b) ** 2).sum() for a, b in pairs)
    taught = np.stack([b for _, b in pairs])
    spread = ((taught - taught.mean(0)) ** 2).sum() + 1e-6
    expected = {"sum": total / 3, "nmse": total / spread}.get(reduction, total / (5 * len(pairs)))
    assert distance(s, t, MASK, reduction, tokens).item() == pytest.approx(expected, rel=1e-5)


def test_feature_maps_have_a_mean_and_no_class_token() -> None:
    s, t = hidden(0, 3, 5, 2, 2), hidden(1, 3, 5, 2, 2)
    expected = (s.mean((2, 3)) - t.mean((2, 3))).square().sum() / 3
    torch.testing.assert_close(distance(s, t, None, "sum", "mean"), expected)
    with pytest.raises(RequestError, match="no class token"):
        distance(s, t, None, "sum", "cls")


@pytest.mark.parametrize("reduction", ["sum", "mean", "ln", "nmse"])
def test_equal_features_give_zero_with_zero_gradient(reduction: str) -> None:
    t = hidden(0, 3, 4, 5)
    s = t.clone().requires_grad_()
    loss = feature_distance({0: s}, {0: t}, MASK, reduction)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(s.grad, torch.zeros_like(s))


def test_the_printed_sum_grows_with_width_and_scale_where_nmse_does_not() -> None:
    """What METHODS 1.5 says against the printed form, shown."""
    s, t = hidden(0, 8, 4, 16), hidden(1, 8, 4, 16)
    wide = [torch.cat([x, x], -1) for x in (s, t)]
    assert distance(*wide, None, "sum").item() == pytest.approx(
        2 * distance(s, t, None, "sum").item(), rel=1e-5
    )
    assert distance(*wide).item() == pytest.approx(distance(s, t).item(), rel=1e-5)
    assert distance(9 * s, 9 * t, None, "sum").item() == pytest.approx(
        81 * distance(s, t, None, "sum").item(), rel=1e-5
    )
    torch.testing.assert_close(
        distance(9 * s, 9 * t, None, "ln"), distance(s, t, None, "ln"), rtol=1e-3, atol=0
    )


def test_sampled_rows_are_the_lowest_valid_positions_in_both_models() -> None:
    h, g = hidden(0, 3, 4, 5), hidden(1, 3, 4, 5)
    scores = torch.rand(3, 4, generator=torch.Generator().manual_seed(2))
    got = [sampled(x, MASK, scores, count=2) for x in (h, g)]
    expected = [
        (i, j)
        for i in range(3)
        for j in sorted((j for j in range(4) if MASK[i, j]), key=lambda j: scores[i, j])[:2]
    ]
    assert len(expected) == 5  # the last text has one token
    for x, rows in ((h, got[0]), (g, got[1])):
        torch.testing.assert_close(rows, torch.stack([x[i, j] for i, j in expected]))
    maps = hidden(3, 2, 5, 3, 3)
    assert positions(maps) == 9
    picked = sampled(maps, None, torch.arange(9.0).repeat(2, 1), count=4)
    torch.testing.assert_close(picked[0], maps[0, :, 0, 0])
    torch.testing.assert_close(picked[4 + 3], maps[1, :, 1, 0])


def test_the_floor_decides_which_features_are_dead() -> None:
    t = hidden(0, 40, 4) * torch.tensor([1.0, 1.0, 1.0, 0.1])
    _, alive = correlations(t, t)
    assert alive.all()
    _, alive = correlations(t, t, floor=0.1)
    assert alive.tolist() == [True, True, True, False]


def forwards(student, teacher, views=None) -> StepForwards:
    return StepForwards(
        tiny_batch(), views or {"shifted": darker}, student, {"initial": teacher}, Draws(0), (0, 1)
    )


def moved():
    student = tiny_model()
    with torch.no_grad():
        student.backbone.network.stem.weight.mul_(1.3)
    return student


def test_source_centring_takes_the_views_difference_out() -> None:
    """Second road: rows centred by numpy before the correlation. Joint rows correlate by the view alone."""
    f = forwards(moved(), tiny_model())
    values = {c: activation(centre=c).loss(f).item() for c in ("joint", "source")}
    expected = []
    for k in (0, 1):
        sides = []
        for who in (f.student, lambda v, h: f.teacher("initial", v, h)):
            parts = [who(v, (0, 1)).hidden[k].detach().mean((2, 3)) for v in ("clean", "shifted")]
            sides.append(torch.cat([p - p.mean(0) for p in parts]))
        expected.append(rar(*sides).item())
    assert values["source"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert values["joint"] < values["source"]


def rar_method(**options) -> Method:
    return Method(
        tuning=tune.lora(rank=2),
        terms=(ce(), activation(0.3, **options), features(0.1, reduction="mean", tokens="mean")),
        views={"shifted": darker},
        teachers={"initial": Initial()},
        layers=options.pop("layers", ()),
    )


def train(folder: Path, method: Method, **recipe):
    torch.manual_seed(0)
    model = tiny_model()
    groups = method.tuning.apply(model)
    teachers = {n: t.run for n, t in bind(method, model, {}).items()}
    config = TrainConfig(**{"steps": 4, "batch_size": 16, **recipe})
    fit(
        model, method, groups, ListExamples(tiny_batch(40)), teachers, config, Engine("fp32"), 3, folder, "f",
        "tiny",
    )  # fmt: skip
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


def test_small_micro_batches_are_refused_with_pooled_rows_and_trained_with_tokens(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"at least 16 rows, got 8.*rar_rows=tokens"):
        train(tmp_path / "a", rar_method(), accumulate=4)
    one = train(tmp_path / "b", rar_method(rows="tokens"), accumulate=4)
    two = train(tmp_path / "c", rar_method(rows="tokens"), accumulate=4)
    assert all(torch.equal(v, two[n]) for n, v in one.items())


def test_under_accumulation_rar_is_the_mean_of_the_micro_batches(tmp_path: Path) -> None:
    """METHODS 1.6: not the full batch's value. The gradient of the first step, by a second road."""
    method = replace(rar_method(), terms=(activation(1.0),))
    torch.manual_seed(0)
    model = tiny_model()
    method.tuning.apply(model)
    teacher = tiny_model()
    with torch.no_grad():
        teacher.backbone.network.stem.weight.mul_(0.8)
    halves = [tiny_batch(32).take(rows) for rows in (range(16), range(16, 32))]
    values = []
    for part in halves:
        f = StepForwards(part, method.views, model, {"initial": teacher}, Draws(0), (0, 1))
        values.append(method.terms[0].loss(f).item())

    class InOrder(ListExamples):
        def batch(self, rows):
            return self.held

    torch.manual_seed(0)
    model = tiny_model()
    groups = method.tuning.apply(model)
    fit(
        model, method, groups, InOrder(tiny_batch(32)), {"initial": teacher},
        TrainConfig(steps=1, batch_size=32, accumulate=2), Engine("fp32"), 3, tmp_path, "f", "tiny",
    )  # fmt: skip
    logged = float((tmp_path / "log.jsonl").read_text().split('"rar": ')[1].split("}")[0].split(",")[0])
    assert logged == pytest.approx(np.mean(values), rel=1e-5)


def test_layers_are_indices_or_depths(tmp_path: Path) -> None:
    asked = []

    class Recording:
        def __init__(self, model):
            self.model, self.backbone = model, model.backbone

        def __call__(self, batch, hidden=()):
            asked.append(tuple(hidden))
            return self.model(batch, hidden)

    for layers, expected in [((0,), (0,)), ((1.0,), (1,)), ((0.5, 1), (0, 1)), ((), (0, 1))]:
        method = replace(rar_method(), layers=layers)
        torch.manual_seed(0)
        model = tiny_model()
        groups = method.tuning.apply(model)
        asked.clear()
        fit(
            model, method, groups, ListExamples(tiny_batch(40)), {"initial": Recording(tiny_model())},
            TrainConfig(steps=1, batch_size=16), Engine("fp32"), 3, tmp_path / str(layers), "f", "tiny",
        )  # fmt: skip
        assert set(asked) == {expected}
    for layers in [(2,), (-1,), (0.0,), (1.5,)]:
        with pytest.raises(RequestError, match="depth fractions"):
            train(tmp_path / "no", replace(rar_method(), layers=layers))
