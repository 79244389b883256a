"""Three heads on every adapter: alike at the start, trained apart, saved, read back, the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from contract import CLASSES, pictures
from test_prefix import CASES
from test_two_tower import MODELS
from test_two_tower import saved as saved_towers

from tether import tune
from tether.batch import Batch
from tether.errors import RequestError
from tether.models.branch import Branch
from tether.models.config import ModelConfig
from tether.models.extras import assemble
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.models.start import ProbeData, probe_start
from tether.models.zero_shot import ZeroShotHead
from tether.prediction import attach, select_head, write_rule
from tether.prediction.selection import COMBINED, UNCLEAN, probabilities

READ_BACK = [name for name in CASES if name not in ("tiny", "wrapped")]


def stir(model: Model, size: float = 0.05) -> None:
    """Move all that trains, as training would."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * size)


def same(one: Model, two: Model, batch: Batch, atol: float = 2e-5) -> None:
    left, right = probabilities(one, batch, 3, 0), probabilities(two, batch, 3, 0)
    assert set(left) == set(right) == {MAIN, COMBINED, UNCLEAN}
    for name, value in left.items():
        torch.testing.assert_close(right[name], value, rtol=0, atol=atol)
    assert (left[MAIN] - left[UNCLEAN]).abs().max() > 1e-4


@pytest.mark.parametrize("name", READ_BACK)
@pytest.mark.parametrize("section", ["classifier", "block"])
def test_three_heads_are_read_back(name: str, section: str, tmp_path: Path) -> None:
    backbone, batch = CASES[name](tmp_path / "start")
    bias = not name.startswith("decoder")
    model = Model(backbone, {MAIN: random_head(backbone.width, 3, 0, bias)}, CLASSES).eval()
    with torch.no_grad():
        start = model(batch).logits[MAIN]
    tune.tail(0.95, 0.2, (COMBINED, UNCLEAN), section).apply(model)
    model.eval()
    with torch.no_grad():
        for logits in model(batch).logits.values():
            torch.testing.assert_close(logits, start, rtol=0, atol=1e-5)
    stir(model)
    rule = select_head("floored", 3).settled(model, [batch])
    save_model(model, tmp_path / "out")
    write_rule(rule, tmp_path / "out")
    loaded = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    assert loaded.classes == CLASSES
    assert loaded.head is not None
    again = attach(assemble(loaded.backbone, loaded.head, CLASSES, loaded.extras).eval(), loaded.rule)
    same(model, again, batch)
    torch.testing.assert_close(again.probabilities(batch), rule.run(model, batch), rtol=0, atol=2e-5)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert any("section" in n for n in trained) == (section == "block")


@pytest.mark.parametrize("name", MODELS)
def test_the_zero_shot_variant_takes_new_prompts(name: str, tmp_path: Path) -> None:
    """METHODS 4.5: sections are the tower's top, class embeddings the text tower's, also for new classes."""
    loaded = load_backbone(ModelConfig(name=str(saved_towers(name, tmp_path / "m"))))
    assert loaded.make_head is not None
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    prompts = model.heads[MAIN].weight.clone()
    tune.tail(0.3, 0.2, (COMBINED, UNCLEAN)).apply(model)
    assert all(isinstance(model.heads[n], Branch) for n in (COMBINED, UNCLEAN))
    model.train()
    y = torch.arange(4) % 3
    sum(torch.nn.functional.cross_entropy(z, y) for z in model(pictures()).logits.values()).backward()
    for head in (model.heads[MAIN], model.heads[COMBINED].head, model.heads[UNCLEAN].head):
        assert isinstance(head, ZeroShotHead)
        assert head.weight.grad is None
        assert head.log_scale.grad is None
    assert all(p.grad is not None for p in model.heads[UNCLEAN].section.parameters())
    model.eval()
    stir(model, 0.3)
    assert torch.equal(model.heads[MAIN].weight, prompts)
    save_model(model, tmp_path / "out")

    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    data = ProbeData(None, None, "none")  # nothing is fitted, so nothing is read
    same(model, probe_start(again, CLASSES, data, torch.device("cpu")), pictures())
    others = ("green", "photo")
    fresh = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    new = probe_start(fresh, others, data, torch.device("cpu")).eval()
    with torch.no_grad():
        logits = new(pictures()).logits
        old = model(pictures()).logits
    for head in (MAIN, COMBINED, UNCLEAN):
        assert logits[head].shape == (4, 2)
        # "green" is class 1 of the old prompts: the same section and the same prompt, the same logit.
        torch.testing.assert_close(logits[head][:, 0], old[head][:, 1], rtol=1e-5, atol=1e-5)
    answer = select_head("confidence", 3).run(new, pictures())
    assert answer.shape == (4, 2)


def test_a_missing_or_foreign_file_is_said(tmp_path: Path) -> None:
    backbone, _ = CASES["image-vit"](tmp_path / "start")
    model = Model(backbone, {MAIN: random_head(backbone.width, 3, 0)}, CLASSES).eval()
    tune.tail(0.95, 0.1, (COMBINED, UNCLEAN)).apply(model)
    save_model(model, tmp_path / "out")
    about = tmp_path / "out" / "heads.json"
    said = json.loads(about.read_text())
    said["heads"][COMBINED]["head"] = "liner"
    about.write_text(json.dumps(said))
    with pytest.raises(RequestError, match="unknown head 'liner'"):
        load_backbone(ModelConfig(name=str(tmp_path / "out")))
    (tmp_path / "out" / "heads.safetensors").unlink()
    with pytest.raises(RequestError, match=r"heads\.safetensors beside heads\.json"):
        load_backbone(ModelConfig(name=str(tmp_path / "out")))
