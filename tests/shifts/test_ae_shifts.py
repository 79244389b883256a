"""The shifts vq, adain_ae and deepaugment_lite: what every shift promises, and what each one is."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from discrete_parts import TINY, Held, supplies_over

from tether.errors import RequestError
from tether.shifts import Draws, Recipe, default_names, get, role_of
from tether.shifts.discrete import MAKERS, backends, keep
from tether.shifts.discrete.adain_ae import blend, stylised
from tether.shifts.discrete.blocks import Residual, initialise
from tether.shifts.discrete.deepaugment import Tampered, distorted
from tether.shifts.discrete.keep import kept
from tether.shifts.discrete.networks import Autoencoder, seeded
from tether.shifts.discrete.perturb import ANY, SPATIAL, changed_activations
from tether.shifts.discrete.quantiser import on_device
from tether.shifts.discrete.reconstruct import most_used
from tether.shifts.discrete.styles import adain, moments, styles_of

CPU = torch.device("cpu")
SPECS = {
    "vq": {"name": "vq"},
    "patches": {"name": "vq", "backend": "patch_kmeans"},
    "adain_ae": {"name": "adain_ae"},
    "deepaugment_lite": {"name": "deepaugment_lite", "networks": 5},
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(backends, "Schedule", lambda steps: replace(TINY, steps=40))
    monkeypatch.setattr(keep, "CENTROIDS", 32)


@pytest.fixture
def shift(request, images, small):
    return get(SPECS[request.param]).prepared(supplies_over(images))


@pytest.fixture
def network() -> Autoencoder:
    made = Autoencoder(8, 6)
    initialise(made, seeded(0))
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("shift", SPECS, indirect=True)
def test_the_contract_of_a_shift(shift, images):
    assert shift(images, 0, Draws(0)) is images
    once = shift(images, 4, Draws(5, step=2))
    rows = [30, 2, 17, 63, 5]
    few = shift(images.take(rows), 4, Draws(5, step=2))
    assert torch.allclose(few.x, once.x[rows], rtol=0, atol=1e-5)
    for dtype in (torch.float16, torch.float64):
        batch = replace(images.take(range(4)), x=images.x[:4, :, :20, :].to(dtype))  # not square
        for severity in (1, 5):
            out = shift(batch, severity, Draws(0))
            assert (out.x.shape, out.x.dtype) == (batch.x.shape, dtype)
            assert out.x.min() >= 0
            assert out.x.max() <= 1
            assert not torch.equal(out.x, batch.x)
            assert torch.equal(out.ids, batch.ids)
    assert len(shift(images.take([]), 3, Draws(0))) == 0


@pytest.mark.parametrize("shift", SPECS, indirect=True)
def test_distance_grows_with_severity(shift, images):
    distance = [float((shift(images, s, Draws(0)).x - images.x).abs().mean()) for s in range(1, 6)]
    assert distance == sorted(distance)
    assert distance[0] < distance[-1]


@pytest.mark.parametrize("shift", ["adain_ae", "deepaugment_lite"], indirect=True)
def test_steps_bring_other_views(shift, images):
    one, two = (shift(images, 5, Draws(0, step=s)).x for s in (0, 1))
    assert not torch.allclose(one, two, atol=1e-3)


def test_they_are_named_for_training_and_are_in_no_default():
    for maker in MAKERS:
        recipe = get(maker.name)
        assert isinstance(recipe, Recipe)
        assert role_of(recipe) == role_of(maker) == "train"
        assert recipe.family == maker.family
        assert not maker.default
        assert not recipe.default
        assert maker.name not in default_names("train", "image")
    assert {m.family for m in MAKERS} == {"discrete", "adain_ae", "deepaugment"}


@pytest.mark.usefixtures("small")
def test_severity_of_vq_is_the_number_of_codes(images):
    quantiser = kept("vq", Held(images), TINY, CPU, "test").network
    quantiser.usage.copy_(torch.tensor([8.0] * 4 + [0.0] * 12))  # perplexity 4
    assert [most_used(quantiser, s) for s in range(1, 6)] == [None, 16, 8, 4, 2]


@pytest.mark.usefixtures("small")
def test_one_autoencoder_serves_both_shifts_and_may_be_the_users_own(images, monkeypatch, tmp_path):
    supplies = supplies_over(images)
    get("adain_ae").prepared(supplies)
    folder = next((tmp_path / "cache" / "autoencoders").glob("ae-*"))
    monkeypatch.setattr(keep, "_made", lambda *a: pytest.fail("made twice"))
    get("deepaugment_lite").prepared(supplies)
    other = supplies_over(replace(images, x=1 - images.x))
    shift = get({"name": "deepaugment_lite", "weights": str(folder)}).prepared(other)
    assert shift(images, 3, Draws(0)).x.shape == images.x.shape
    with pytest.raises(RequestError, match="expected a VQ autoencoder"):
        get({"name": "vq", "weights": str(folder)}).prepared(other)


def test_adain_gives_the_references_moments(network):
    z = torch.randn(4, 6, 5, 5, generator=seeded(1))
    mean, std = torch.randn(4, 6, 1, 1), torch.rand(4, 6, 1, 1) + 0.5
    got = adain(z, mean, std)
    torch.testing.assert_close(got.mean((2, 3), keepdim=True), mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        got.flatten(2).std(2, unbiased=False)[..., None, None], std, rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        adain(z, *moments(z)), z, rtol=1e-3, atol=1e-4
    )  # its own style changes nothing
    flat = torch.ones(1, 6, 5, 5)
    assert adain(flat, mean[:1], std[:1]).isfinite().all()


def test_adain_ae_is_the_written_formula(network, images):
    styles = styles_of(network, Held(images), CPU)
    draws = Draws(3)
    shift = stylised(network, styles, CPU)
    got = shift(images.take([7, 9]), 5, draws).x
    own = draws.spawn("adain_ae")
    for row, sample in enumerate((7, 9)):
        ids = images.ids[sample : sample + 1]
        reference = int(own.integers(ids, 0, 64, (), "reference"))
        assert reference != sample
        z, s = (
            network.encode(images.x[sample : sample + 1]),
            network.encode(images.x[reference : reference + 1]),
        )
        z_std, s_std = (t.flatten(2).std(2, unbiased=False)[..., None, None] for t in (z, s))
        t = (z - z.mean((2, 3), keepdim=True)) / (z_std + 1e-5) * s_std + s.mean((2, 3), keepdim=True)
        alpha = 0.3 + 0.7 * float(own.uniform(ids, (1, 1, 1), "alpha"))
        want = network.decode((1 - alpha) * z + alpha * t, images.x[:1])
        torch.testing.assert_close(got[row : row + 1], want, rtol=1e-4, atol=1e-5)


def test_a_style_is_never_the_samples_own(network, images):
    few = Held(images.take(range(4)))
    styles = styles_of(network, few, CPU)
    for step in range(50):
        mean, _ = styles.drawn(few.held.ids, Draws(0, step))
        assert not (mean[..., 0, 0] == styles.mean).all(1).any()
    alpha = blend(torch.arange(5000), 5, Draws(0)).flatten()
    assert alpha.min() >= 0.3
    assert alpha.max() <= 1
    assert abs(float(alpha.mean()) - 0.65) < 0.01
    torch.testing.assert_close(blend(torch.arange(9), 1, Draws(0)) * 5, blend(torch.arange(9), 5, Draws(0)))


def test_tampered_networks_differ_and_leave_the_original_alone(network, images):
    before = copy.deepcopy(network.state_dict())
    tampered = Tampered(network, 16, seed=0)
    outs = [tampered.run(images.x[:2], k, 5) for k in range(16)]
    assert len({round(float(o.sum()), 2) for o in outs}) > 12  # two may come out the same by chance
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    again = Tampered(network, 16, seed=0).run(images.x[:2], 3, 5)
    assert torch.equal(again, outs[3])
    assert not torch.equal(Tampered(network, 16, seed=1).run(images.x[:2], 3, 5), outs[3])


def test_each_sample_goes_through_the_network_it_drew(network, images):
    tampered = Tampered(network, 5, seed=0)
    out = distorted(tampered, CPU)(images, 3, Draws(2)).x
    which = Draws(2).spawn("deepaugment_lite").integers(images.ids, 0, 5, (), "network")
    assert len(which.unique()) == 5
    for row in (0, 11, 40):
        alone = tampered.run(images.x[row : row + 1], int(which[row]), 3)
        torch.testing.assert_close(out[row : row + 1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [*ANY, *SPATIAL])
def test_more_severe_operations_change_the_same_weights_and_more(name):
    operation = {**ANY, **SPATIAL}[name]
    weight = torch.randn(24, 5, 3, 3, generator=seeded(0))
    net = torch.tensor([3])
    little, much = (operation(weight, part, Draws(0), net, "0") != weight for part in (0.2, 0.7))
    assert little.any()
    assert not (little & ~much).any()
    assert much.sum() > little.sum() or name == "noise"  # noise touches all, only more strongly
    assert torch.equal(operation(weight, 0.0, Draws(0), net, "0"), weight)


def test_operations_by_example():
    weight = torch.arange(18.0).view(1, 2, 3, 3)
    whole = {
        name: op(weight, 1.0, Draws(0), torch.tensor([0]), "0") for name, op in {**ANY, **SPATIAL}.items()
    }
    assert torch.equal(whole["negate"], -weight)
    assert torch.equal(whole["zero"], torch.zeros_like(weight))
    assert torch.equal(whole["drop"], torch.zeros_like(weight))
    assert whole["flip_sides"][0, 0].tolist() == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]
    assert whole["flip_upside_down"][0, 0].tolist() == [[6, 7, 8], [3, 4, 5], [0, 1, 2]]
    assert whole["transpose"][0, 0].tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert sorted(whole["shuffle_inputs"][0, :, 0, 0].tolist()) == [0, 9]
    ratio = whole["scale"].flatten()[1:] / weight.flatten()[1:]
    assert torch.allclose(ratio, ratio[0].expand(17))
    assert 1 / 2.72 < ratio[0] < 2.72


def test_activations_by_example():
    z = torch.arange(1.0, 5)[None, :, None, None].expand(2, 4, 3, 3)
    net = torch.tensor([0])
    assert torch.equal(changed_activations(z, "none", 1.0, Draws(0), net), z)
    assert torch.equal(changed_activations(z, "flip_signs", 1.0, Draws(0), net), -z)
    assert torch.equal(changed_activations(z, "flip_signs", 0.0, Draws(0), net), z)
    assert changed_activations(z, "swap_channels", 1.0, Draws(0), net)[0, :, 0, 0].tolist() == [4, 1, 2, 3]


def test_blocks_may_be_skipped(network):
    """Somewhere among many networks a block gives its input back."""
    skipped = 0
    for k in range(60):
        blocks = [m for m in Tampered(network, 1, 0).copy(k, 5).modules() if isinstance(m, Residual)]
        skipped += any(bool((m.back.weight == 0).all()) for m in blocks)
    assert 0 < skipped < 30


def test_wrong_options_are_refused():
    with pytest.raises(RequestError, match=r"networks: expected at least 1"):
        get({"name": "deepaugment_lite", "networks": 0})
    with pytest.raises(RequestError, match=r"adain_ae.steps: expected at least 1"):
        get({"name": "adain_ae", "steps": -3})
    with pytest.raises(RequestError, match="diffusers needs the option weights"):
        get({"name": "vq", "backend": "diffusers"})


@pytest.mark.usefixtures("small")
def test_texts_are_refused(texts, images):
    class TextsHeld:
        def __len__(self):
            return len(texts)

        def batch(self, rows):
            return texts.take(rows)

    supplies = replace(supplies_over(images), train=TextsHeld())
    for spec in (*SPECS.values(), {"name": "dae"}):
        with pytest.raises(RequestError, match="expected pictures, got texts"):
            get(spec).prepared(supplies)


def test_a_batch_elsewhere_is_moved_to_the_network_and_back():
    """No second device is needed to see the moves."""
    seen = []

    class Elsewhere:
        def to(self, device):
            seen.append(device)
            return self

        device = "the batch's own"

    change = on_device(lambda x, severity, ids, draws: Elsewhere(), "the network's")
    change(Elsewhere(), 1, Elsewhere(), Draws(0))
    assert seen == ["the network's", "the network's", "the batch's own"]
