"""Which parameters train: LoRA's layers, last blocks, everything; with the head or without (METHODS 1.1)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tether import tune
from tether.errors import RequestError
from tether.methods.student import student_tuning
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.teachers.initial import initial_teacher
from tether.training.frozen import frozen_blocks
from tether.tune.selected import selected
from tether.tune.top_blocks import top_blocks
from tiny import fixed, tiny_batch, tiny_bert, tiny_model, tiny_texts


def text_model(folder: Path) -> Model:
    loaded = load_backbone(ModelConfig(name=str(tiny_bert(folder / "bert"))))
    return Model(loaded.backbone, {"main": fixed(LinearHead(16, 2), seed=1)}, ("no", "yes")).eval()


@pytest.fixture(params=["pictures", "texts"])
def case(request, tmp_path: Path):
    if request.param == "pictures":
        return tiny_model, tiny_batch()
    return lambda: text_model(tmp_path), tiny_texts()


def trained(model: Model) -> set[str]:
    return {n for n, p in model.named_parameters() if p.requires_grad}


def test_a_frozen_head_stays_out_of_every_kind(case) -> None:
    make, _ = case
    for kind in ("lora", "last_blocks", "full"):
        model = make()
        groups = student_tuning(kind, head_mode="frozen").apply(model)
        assert "head" not in groups
        assert not any(n.startswith("heads.") for n in trained(model))
        assert trained(model)
        groups = student_tuning(kind).apply(make())
        assert groups["head"]


def test_last_blocks_are_the_last_and_leave_the_initial_model_as_it_was(case) -> None:
    make, batch = case
    model = make()
    blocks = list(model.backbone.blocks())
    groups = top_blocks(1).apply(model)
    assert {id(p) for p in groups["backbone"]} == {id(p) for p in blocks[-1].parameters()}
    assert not any(p.requires_grad for p in blocks[0].parameters())
    initial = initial_teacher(model, top_blocks(1))
    before = initial(batch).logits["main"].clone()
    torch.testing.assert_close(before, model(batch).logits["main"], rtol=0, atol=0)
    with torch.no_grad():
        for p in groups["backbone"]:
            p.add_(0.1)
    assert torch.equal(initial(batch).logits["main"], before)
    assert not torch.equal(model(batch).logits["main"], before)


def test_a_wrong_number_of_blocks_is_refused() -> None:
    with pytest.raises(RequestError, match="at least 1"):
        top_blocks(0)
    with pytest.raises(RequestError, match="at most 2, as the network has, got 3"):
        top_blocks(3).apply(tiny_model())


def adapted(model: Model) -> set[str]:
    """Module names that carry an adapter, without peft's prefixes."""
    return {n.split(".lora_A")[0].split("base_model.model.")[-1] for n in trained(model) if ".lora_A." in n}


def test_lora_adapts_all_layers_queries_and_values_or_those_named(tmp_path: Path) -> None:
    model = text_model(tmp_path / "a")
    tune.lora(rank=2, layers="qv").apply(model)
    names = adapted(model)
    assert {n.rsplit(".", 1)[-1] for n in names} == {"query", "value"}
    assert len(names) == 4
    model = text_model(tmp_path / "b")
    tune.lora(rank=2, layers=["attention.output.dense", "key"]).apply(model)
    assert len(adapted(model)) == 4
    assert all(n.endswith(("attention.output.dense", "self.key")) for n in adapted(model))
    model = tiny_model()
    tune.lora(rank=2, layers=["1.0"]).apply(model)
    assert adapted(model) == {"blocks.1.0"}


def test_adapters_of_the_upper_half_leave_the_lower_one_frozen(tmp_path: Path) -> None:
    for model in (text_model(tmp_path), tiny_model()):
        tune.lora(rank=2, layers="upper").apply(model)
        blocks = model.backbone.blocks()
        assert len(blocks) == 2
        tuned = [any(p.requires_grad for p in b.parameters()) for b in blocks]
        assert tuned == [False, True]
        assert frozen_blocks(model) == 1


def test_layers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no projection to queries or values"):
        tune.lora(rank=2, layers="qv").apply(tiny_model())
    with pytest.raises(RequestError, match="called 'querry'; did you mean 'query'"):
        tune.lora(rank=2, layers=["querry"]).apply(text_model(tmp_path))


def test_fused_projections_count_as_queries_and_values() -> None:
    network = nn.ModuleDict(
        {"qkv": nn.Linear(4, 12), "proj": nn.Linear(4, 4), "mixed": nn.MultiheadAttention(4, 2)}
    )
    assert selected(network, ["qkv", "proj", "mixed"], "qv") == ["qkv", "mixed"]
    assert selected(network, ["qkv", "proj"], "all") == ["qkv", "proj"]
