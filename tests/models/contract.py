"""What every adapter has to keep, on whatever tiny model it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tether import tune
from tether.batch import Batch
from tether.models.backbone import Backbone
from tether.models.config import ModelConfig
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.teachers.initial import initial_teacher
from tether.tune.lora import merge_adapters

CLASSES = ("red", "green", "blue")


def stirred(network: torch.nn.Module, seed: int = 0, size: float = 0.2) -> torch.nn.Module:
    """Add noise to every parameter: fresh networks hold zeros and ones that would hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
    return network.eval()


def pictures(n: int = 4, side: int = 32) -> Batch:
    x = torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(3))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def logits(model: Model, batch: Batch) -> Tensor:
    with torch.no_grad():
        return model(batch).logits[MAIN]


def keep_the_contract(
    backbone: Backbone,
    batch: Batch,
    folder: Path,
    library: Callable[[Path], Tensor] | None,
    bias: bool = True,
    exact_off: bool = True,
    merged_atol: float = 1e-4,
) -> Model:
    """Student = M_0 at the start, one step that learns, adapters off, merge, save, reload.

    Args:
        library: a saved folder -> logits by the library's own loader, without tether.
        exact_off: adapters off give M_0's bits back, not just its numbers.
    """
    model = Model(backbone, {MAIN: random_head(backbone.width, 3, 0, bias)}, CLASSES).eval()
    start = logits(model, batch)
    taps = backbone.taps()
    hidden = model(batch, taps).hidden
    assert set(hidden) == set(taps)
    assert all(h.shape[0] == len(batch) and h.dim() in (3, 4) for h in hidden.values())

    torch.manual_seed(0)
    tuning = tune.lora(rank=2)
    groups = tuning.apply(model)
    initial = initial_teacher(model, tuning)
    torch.testing.assert_close(model(batch).logits[MAIN], start, rtol=0, atol=1e-5)

    y = batch.y % 3
    before = torch.nn.functional.cross_entropy(model(batch).logits[MAIN], y)
    before.backward()
    dead = [
        n
        for n, p in model.named_parameters()
        if "lora_B" in n and (p.grad is None or p.grad.abs().max() == 0)
    ]
    assert not dead, dead
    # Normalised steps: the layers' gradients differ by orders of magnitude, and each adapter should move.
    optimizer = torch.optim.AdamW(groups["adapter"], lr=5e-3, weight_decay=0.0)
    for _ in range(3):
        optimizer.step()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch).logits[MAIN], y).backward()
    assert torch.nn.functional.cross_entropy(model(batch).logits[MAIN], y) < before

    trained = logits(model, batch)
    assert (trained - start).abs().max() > 1e-5
    torch.testing.assert_close(initial(batch, ()).logits[MAIN], start, rtol=0, atol=0 if exact_off else 1e-6)

    merge_adapters(model)
    close = {"rtol": 1e-4, "atol": merged_atol}
    torch.testing.assert_close(logits(model, batch), trained, **close)
    save_model(model, folder)
    torch.testing.assert_close(logits(model, batch), trained, **close)  # saving leaves the model usable
    if library is not None:
        torch.testing.assert_close(library(folder), trained, **close)
    again = load_backbone(ModelConfig(name=str(folder)))
    assert again.classes == CLASSES
    assert again.head is not None
    torch.testing.assert_close(
        logits(Model(again.backbone, {MAIN: again.head}, CLASSES).eval(), batch), trained, **close
    )
    return model
