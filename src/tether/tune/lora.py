"""Low-rank adapters by peft, found by looking at the network, not by names (METHODS 1.1)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from tether.errors import RequestError
from tether.models.model import Model
from tether.tune.tuning import Groups, Tuning, freeze, release_heads

ADAPTER = "default"


def targets(network: nn.Module, blocks: Sequence[nn.Module]) -> tuple[list[str], list[str]]:
    """Names of what LoRA adapts and of what it has to leave out.

    Every linear layer and every ungrouped convolution inside the blocks; embeddings, norms, stems and
    heads are not adapted (METHODS 1.1). A grouped (depthwise) convolution cannot take LoRA.

    Returns:
        (adapted, left out), module names in network order.
    """
    inside = {id(m) for block in blocks for m in block.modules()}
    adapted: list[str] = []
    left_out: list[str] = []
    for name, module in network.named_modules():
        if id(module) not in inside:
            continue
        if isinstance(module, nn.Linear):
            adapted.append(name)
        elif isinstance(module, nn.Conv2d):
            (adapted if module.groups == 1 else left_out).append(name)
    return adapted, left_out


def lora(rank: int = 8, alpha: float = 16.0, dropout: float = 0.0, head: bool = True) -> Tuning:
    """LoRA on every linear layer and plain convolution of the blocks; W' = W + (alpha / rank) B A.

    B starts at 0, so the student equals the initial model at step 0. The base weights are one copy: the
    initial model is the student with its adapters off.

    Args:
        rank: r of METHODS 1.1.
        alpha: the numerator of the scale s.
        dropout: on the adapters' input.
        head: whether the head trains too (METHODS 1.1, head_mode).
    """

    def apply(model: Model) -> Groups:
        from peft import LoraConfig, get_peft_model

        freeze(model)
        network = model.backbone.network
        names, _ = targets(network, model.backbone.blocks())
        if not names:
            raise RequestError(
                f"LoRA: found no linear layer and no plain convolution in the blocks of "
                f"{type(network).__name__}; use another method, such as finetune"
            )
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            lora_dropout=dropout,
            # A regular expression: peft takes bare names as suffixes, and one may end another.
            target_modules="|".join(re.escape(n) for n in names),
        )
        model.backbone.network = get_peft_model(network, config, adapter_name=ADAPTER)
        adapters = [p for p in model.backbone.network.parameters() if p.requires_grad]
        model.follow_mode += [
            m for n, m in model.backbone.network.named_modules() if n.endswith("lora_dropout")
        ]
        groups: dict[str, list[nn.Parameter]] = {"adapter": adapters}
        if head:
            groups["head"] = release_heads(model)
        return groups

    return Tuning("lora", apply, shares_base=True)


@contextlib.contextmanager
def adapters_off(model: Model) -> Iterator[None]:
    """Run the base weights of a model that may carry adapters."""
    disable = getattr(model.backbone.network, "disable_adapter", None)
    if disable is None:
        yield
    else:
        with disable():
            yield


def is_down_projection(parameter: str) -> bool:
    """Whether a parameter is the A of a product B A.

    Interpolating the product means scaling one factor: scaling both gives mu squared (METHODS 1.11).
    """
    return ".lora_A." in parameter


def merge_adapters(model: Model) -> None:
    """Fold the adapters into the base weights, in place."""
    network: Any = model.backbone.network
    if hasattr(network, "merge_and_unload"):
        model.backbone.network = network.merge_and_unload()


def has_adapters(model: Model) -> bool:
    """Whether the model's network is wrapped by peft."""
    return hasattr(model.backbone.network, "peft_config")
