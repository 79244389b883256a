"""The map head by a second road: sums of probabilities, in a plain loop."""

from __future__ import annotations

import pytest
import torch

from tether.errors import RequestError
from tether.models.map_head import map_head, residual_mass, trust

SOURCE = ["cat", "dog", "car", "boat", "sky"]
GROUPS = {"animal": ["cat", "dog"], "vehicle": ["car", "boat"]}
CLASSES = ("vehicle", "animal")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_probabilities_are_summed_and_renormalised_and_the_rest_is_residual() -> None:
    weight, bias, phi = random(5, 4), random(5, seed=1), random(6, 4, seed=2)
    logits = map_head(weight, bias, SOURCE, GROUPS, CLASSES)(phi)
    source = (phi @ weight.T + bias).softmax(-1).tolist()
    for i, p in enumerate(source):
        animal, vehicle = p[0] + p[1], p[2] + p[3]
        want = [vehicle / (animal + vehicle), animal / (animal + vehicle)]
        assert logits[i].softmax(-1).tolist() == pytest.approx(want, abs=1e-6)
        assert residual_mass(logits)[i].item() == pytest.approx(p[4], abs=1e-6)


def test_trust_falls_only_above_one_half() -> None:
    assert trust(torch.tensor([0.0, 0.5, 0.6, 1.0])).tolist() == pytest.approx([1.0, 1.0, 0.4, 0.0])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"animal": ["cat"]}, "'vehicle' has none"),
        ({"animal": ["cat"], "vehicle": []}, "'vehicle' has none"),
        ({"animal": ["cta"], "vehicle": ["car"]}, "did you mean 'cat'"),
        ({"animal": ["cat", "car"], "vehicle": ["car"]}, r"\['car'\] are in two"),
    ],
)
def test_groups_that_cannot_work_are_refused(groups: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        map_head(torch.zeros(5, 4), torch.zeros(5), SOURCE, groups, CLASSES)


def test_the_gradient_is_finite_though_groups_leave_classes_out() -> None:
    head = map_head(random(5, 4), random(5, seed=1), SOURCE, GROUPS, CLASSES)
    torch.nn.functional.cross_entropy(head(random(6, 4, seed=2)), torch.tensor([0, 1] * 3)).backward()
    assert torch.isfinite(head.weight.grad).all()
    assert head.weight.grad.abs().sum() > 0
