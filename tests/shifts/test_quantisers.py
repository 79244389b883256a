"""The three back ends keep one contract; training is seeded, kept and found again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from discrete_parts import TINY, Held

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts.discrete import keep
from tether.shifts.discrete.external import load_external
from tether.shifts.discrete.keep import kept
from tether.shifts.discrete.kmeans import PatchKmeans
from tether.shifts.discrete.pictures import content_of, parted
from tether.shifts.discrete.quality import psnr
from tether.shifts.discrete.quantiser import nearest

CPU = torch.device("cpu")


@pytest.fixture(params=["vq", "patch_kmeans", "diffusers"])
def quantiser(request, images, monkeypatch, tmp_path):
    if request.param == "diffusers":
        return load_external(str(vq_model(tmp_path)), CPU)
    monkeypatch.setattr(keep, "CENTROIDS", 32)
    return kept(request.param, Held(images), TINY, CPU, "test").network


def vq_model(folder, **changes):
    diffusers = pytest.importorskip("diffusers", reason="the extra `vq` is not installed")
    torch.manual_seed(0)
    options = {
        "block_out_channels": (8, 8), "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 4, "num_vq_embeddings": 24,
        "latent_channels": 5,
    }  # fmt: skip
    model = diffusers.VQModel(**{**options, **changes}).eval()
    torch.nn.init.normal_(model.quantize.embedding.weight)  # its own start crowds all codes at 0
    model.save_pretrained(folder / "vq-model")
    return folder / "vq-model"


def test_shape_range_codes_and_batch(quantiser, images):
    x = images.x[:5, :, :19, :30]  # no multiple of anything
    rec, codes = quantiser.quantise(x)
    assert rec.shape == x.shape
    assert rec.min() >= 0
    assert rec.max() <= 1
    assert codes.dtype == torch.int64
    assert codes.ndim == 3
    alone, its = quantiser.quantise(x[2:3])
    torch.testing.assert_close(alone, rec[2:3], rtol=0, atol=1e-5)
    assert torch.equal(its, codes[2:3])
    assert not rec.requires_grad


def test_fewer_codes_are_used_when_fewer_are_allowed(quantiser, images):
    quantiser.usage.copy_(torch.arange(len(quantiser.usage)))  # the last code is the most used
    _, codes = quantiser.quantise(images.x[:8], most=3)
    assert codes.min() >= len(quantiser.usage) - 3
    same, _ = quantiser.quantise(images.x[:8], most=len(quantiser.usage))
    torch.testing.assert_close(same, quantiser.quantise(images.x[:8])[0])


def test_a_second_pass_changes_much_less_than_the_first(images, monkeypatch):
    monkeypatch.setattr(keep, "CENTROIDS", 32)
    for kind, schedule in (("vq", replace(TINY, steps=150)), ("patch_kmeans", TINY)):
        quantiser = kept(kind, Held(images), schedule, CPU, "test").network
        once, _ = quantiser.quantise(images.x)
        twice, _ = quantiser.quantise(once)
        assert (twice - once).abs().mean() < 0.6 * (once - images.x).abs().mean()


def test_reconstructions_beat_the_mean_picture(images, monkeypatch):
    monkeypatch.setattr(keep, "CENTROIDS", 64)
    longer = replace(TINY, steps=150)
    for kind, schedule in (("vq", longer), ("patch_kmeans", TINY), ("ae", longer)):
        quality = kept(kind, Held(images), schedule, CPU, "test").about["quality"]
        assert quality["psnr"] > quality["psnr_of_mean_picture"] + 1
        assert quality["pictures"] == 6
        if kind != "ae":
            assert 1 < quality["perplexity"] <= quality["codes"]


def test_diffusers_reconstructs_as_its_own_forward_does(tmp_path, images):
    diffusers = pytest.importorskip("diffusers", reason="the extra `vq` is not installed")
    folder = vq_model(tmp_path)
    mine = load_external(str(folder), CPU)
    model = diffusers.VQModel.from_pretrained(folder).eval()
    with torch.no_grad():
        want = (model(images.x[:4] * 2 - 1).sample.clamp(-1, 1) + 1) / 2
        codes = model.quantize(model.encode(images.x[:4] * 2 - 1).latents)[2][2]
    rec, found = mine.quantise(images.x[:4])
    torch.testing.assert_close(rec, want)
    assert torch.equal(found.flatten(), codes.flatten())
    assert (mine.lite, mine.name) == (False, "diffusers")
    other = vq_model(tmp_path / "b", latent_channels=4)
    assert load_external(str(other), CPU).key != mine.key == load_external(str(folder), CPU).key


def test_diffusers_with_other_options(tmp_path, images):
    """Spatial norms and lookup_from_codebook change what VQModel.decode does."""
    diffusers = pytest.importorskip("diffusers", reason="the extra `vq` is not installed")
    for changes in ({"norm_type": "spatial", "block_out_channels": (32, 32)}, {"lookup_from_codebook": True}):
        folder = vq_model(tmp_path / next(iter(changes)), **changes)
        with torch.no_grad():
            model = diffusers.VQModel.from_pretrained(folder).eval()
            want = (model(images.x[:2] * 2 - 1).sample.clamp(-1, 1) + 1) / 2
        torch.testing.assert_close(load_external(str(folder), CPU).quantise(images.x[:2])[0], want)


def test_wrong_weights_are_refused(tmp_path, images, monkeypatch):
    pytest.importorskip("diffusers", reason="the extra `vq` is not installed")
    with pytest.raises(RequestError, match=r"config\.json of a VQModel"):
        load_external(str(tmp_path), CPU)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKL"}))
    with pytest.raises(RequestError, match="holds AutoencoderKL"):
        load_external(str(tmp_path), CPU)
    with pytest.raises(RequestError, match="could not be loaded as a VQModel"):
        load_external(str(tmp_path / "nowhere"), CPU)
    grey = vq_model(tmp_path / "grey", in_channels=1)
    with pytest.raises(RequestError, match="takes 1 channels"):
        load_external(str(grey), CPU)
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(RequestError, match=r"pip install 'tether\[vq\]'"):
        load_external(str(grey), CPU)


def test_patches_are_replaced_and_overlaps_averaged(images):
    """Against a loop over patches, with centroids that are single grey values."""
    quantiser = PatchKmeans(3)
    levels = torch.tensor([0.0, 0.4, 1.0])
    quantiser.centroids.copy_(levels[:, None].expand(-1, 48))
    x = images.x[:1, :, :10, :8]
    rec, codes = quantiser.quantise(x)
    total, hits = torch.zeros(3, 10, 8), torch.zeros(10, 8)
    for i, top in enumerate(range(0, 7, 2)):
        for j, left in enumerate(range(0, 5, 2)):
            patch = x[0, :, top : top + 4, left : left + 4]
            best = min(range(3), key=lambda k: float((patch - levels[k]).square().sum()))
            assert codes[0, i, j] == best
            total[:, top : top + 4, left : left + 4] += levels[best]
            hits[top : top + 4, left : left + 4] += 1
    torch.testing.assert_close(rec[0], total / hits)


def test_the_same_seed_gives_the_same_weights_and_the_global_generator_stays(images, tmp_path, monkeypatch):
    keys = []
    for cache in ("a", "b"):
        monkeypatch.setenv("TETHER_CACHE", str(tmp_path / cache))
        before = torch.get_rng_state()
        keys.append(kept("vq", Held(images), TINY, CPU, "test").network.key)
        assert torch.equal(before, torch.get_rng_state())
    assert keys[0] == keys[1]
    assert kept("vq", Held(images), replace(TINY, seed=1), CPU, "test").network.key != keys[0]


def test_found_again_by_pictures_and_options(images, monkeypatch):
    one = kept("vq", Held(images), TINY, CPU, "test")
    monkeypatch.setattr(keep, "_made", lambda *a: pytest.fail("made twice"))
    again = kept("vq", Held(images), TINY, CPU, "test")
    assert again.folder == one.folder
    assert again.network.key == one.network.key
    torch.testing.assert_close(again.network.quantise(images.x)[0], one.network.quantise(images.x)[0])
    other = replace(images, x=1 - images.x)
    assert content_of(Held(other)) != content_of(Held(images))
    for asked in (
        lambda: kept("vq", Held(other), TINY, CPU, "t"),
        lambda: kept("ae", Held(images), TINY, CPU, "t"),
    ):
        with pytest.raises(pytest.fail.Exception, match="made twice"):
            asked()


def test_what_was_keepis_checked_when_it_is_read(images, texts, tmp_path):
    made = kept("ae", Held(images), TINY, CPU, "test")
    with pytest.raises(RequestError, match=r"expected a VQ autoencoder, .* holds an autoencoder"):
        keep.load(made.folder, "vq", CPU)
    with pytest.raises(RequestError, match="there is none"):
        keep.load(tmp_path / "nowhere", "vq", CPU)
    (made.folder / "weights.safetensors").write_bytes(b"cut off")
    with pytest.raises(RequestError, match="is damaged"):
        keep.load(made.folder, "ae", CPU)
    with pytest.raises(RequestError, match="at least 4 training pictures, got 3"):
        kept("vq", Held(images.take([0, 1, 2])), TINY, CPU, "test")
    with pytest.raises(RequestError, match="expected pictures, got texts"):
        kept("vq", TextsHeld(texts), TINY, CPU, "test")


class TextsHeld:
    def __init__(self, batch: Batch) -> None:
        self.held = batch

    def __len__(self) -> int:
        return len(self.held)

    def batch(self, rows):
        return self.held.take(rows)


def test_measured_pictures_are_not_trained_on(images):
    train, out = parted(Held(images))
    assert not set(train.ids) & set(out.ids)
    assert sorted([*train.ids, *out.ids]) == sorted(images.ids.tolist())


def test_psnr_is_its_definition():
    assert psnr(torch.zeros(2, 3), torch.full((2, 3), 0.1)) == pytest.approx(20.0, abs=1e-4)
    assert psnr(torch.ones(1), torch.ones(1)) == float("inf")


def test_nearest_in_slices_agrees(monkeypatch):
    rows, codes = torch.rand(300, 2), torch.rand(70_000, 2)  # 239 rows a slice
    assert torch.equal(
        nearest(rows, codes), torch.cat([nearest(rows[:150], codes), nearest(rows[150:], codes)])
    )
