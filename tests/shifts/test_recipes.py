"""Shifts that must be built, or that ask a model: how names and options become views."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tether.errors import RequestError
from tether.shifts import Attack, Draws, Recipe, Shift, get, mixture, on_pixels, prepared_view, registry
from tether.shifts.maker import Maker


def dim(part: float = 0.5) -> Shift:
    return Shift("dim", "light", "image", "less light", on_pixels(lambda x, s, ids, d: x * part))


@pytest.fixture
def dims(monkeypatch):
    maker = Maker("dim", "light", "image", "less light", dim)
    monkeypatch.setattr(registry, "_MAKERS", {"dim": maker})


@pytest.mark.usefixtures("dims")
def test_a_spec_gives_options_and_a_wrong_one_is_named(images):
    out = get({"name": "dim", "part": 0.25})(images, 1, Draws(0))
    torch.testing.assert_close(out.x, images.x * 0.25)
    torch.testing.assert_close(get("dim")(images, 1, Draws(0)).x, images.x * 0.5)
    with pytest.raises(RequestError, match="dim has no such option; did you mean 'part'"):
        get({"name": "dim", "prat": 1})
    with pytest.raises(RequestError, match=r"shift\.part: .* got 'much'"):
        get({"name": "dim", "part": "much"})
    with pytest.raises(RequestError, match="tone: expected no options, got part"):
        get({"name": "tone", "part": 1})
    with pytest.raises(RequestError, match="name it"):
        get({"part": 1})


@pytest.mark.usefixtures("dims")
def test_weights_may_stand_in_the_specs():
    view = mixture([{"name": "dim", "weight": 3, "part": 0.1}, "tone"])
    assert view.weights == (0.75, 0.25)
    assert mixture(["tone", "augmix"]).weights is None
    with pytest.raises(RequestError, match="weights of at least 0"):
        mixture([{"name": "tone", "weight": -1}, "augmix"])


def test_a_recipe_is_refused_until_it_is_built(images):
    seen = []
    recipe = Recipe("dim", "light", "image", "less light", lambda supplies: seen.append(supplies) or dim())
    view = mixture([recipe])
    with pytest.raises(RequestError, match="expected a shift that is built"):
        view(images, None, None, Draws(0))
    ready = prepared_view(view, "supplies")
    assert seen == ["supplies"]
    torch.testing.assert_close(ready(images, None, None, Draws(0)).x, images.x * 0.5)


def test_an_attack_gets_model_and_teachers_and_keeps_its_rows(images):
    def apply(batch, severity, draws, model, teachers):
        return replace(batch, x=batch.x * model * teachers["initial"] * severity)

    attack = Attack("attack", "adversarial", "image", "asks", apply, ("initial",))
    view = mixture([attack], severities=[2])
    out = view(images, 0.5, {"initial": 0.25}, Draws(0))
    torch.testing.assert_close(out.x, images.x * 0.25)
    assert torch.equal(out.ids, images.ids)
    assert attack.at(0)(images, None, None, Draws(0)) is images
    with pytest.raises(RequestError, match="severity of 1 to 5"):
        attack.at(6)


def test_streams_of_one_step_differ(images):
    one, two = (mixture(["geometry"], stream=s)(images, None, None, Draws(0)).x for s in ("a", "b"))
    assert not torch.allclose(one, two)
