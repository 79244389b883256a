"""Low-rank adapters by peft, found by looking at the network, not by names (METHODS 1.1)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from tether.errors import RequestError
from tether.models.model import Model
from tether.models.peft_layers import fit_in, in_peft_terms
from tether.progress import say
from tether.tune.selected import Layers, selected
from tether.tune.targets import any_transposed, really_run
from tether.tune.targets import targets as targets
from tether.tune.tuning import Groups, Tuning, freeze, release_heads
from tether.tune.variants import KINDS, Variant, peft_config, takes

ADAPTER = "default"


def note_left_out(names: Sequence[str]) -> None:
    """Say what stays as it was; a model with depthwise convolutions is adapted in part, never refused."""
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        say(f"note: LoRA leaves out {len(names)} layers that it cannot adapt (depthwise or special): {shown}")


def lora(
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    head: bool = True,
    layers: Layers = "all",
    variant: Variant = "lora",
) -> Tuning:
    """LoRA, W' = W + (alpha / rank) B A, on every layer of the blocks that takes it (see `targets`).

    B starts at 0, so the student equals the initial model at step 0. The base weights are one copy: the
    initial model is the student with its adapters off. The variants start from the initial model too; of
    them only "pissa" moves the base weights, so that its initial model is a copy.

    Args:
        rank: r of METHODS 1.1.
        alpha: the numerator of the scale s.
        dropout: on the adapters' input.
        head: whether the head trains too (METHODS 1.1, head_mode).
        layers: "all" of them, "qv", "upper" or names (see `selected`).
        variant: "rslora" s = alpha / sqrt(rank) (Kalajdzievski 2023); "dora" m (W + BA) / ||W + BA|| with a
            trained m (Liu et al. 2024); "pissa" A and B start from W's largest singular vectors (Meng et al.
            2024); "ia3" each output times a trained number that starts at 1 (Liu et al. 2022), without rank.

    Raises:
        RequestError: when applied, a network without a layer that takes the variant.

    Example:
        >>> lora(rank=4, variant="dora").curved is None
        False
    """
    kind = KINDS[variant]

    def apply(model: Model) -> Groups:
        from peft import get_peft_model

        freeze(model)
        network = model.backbone.network
        found, left_out = targets(network, model.backbone.blocks(), takes(variant))
        ran = really_run(model.backbone, found)
        names = selected(network, [n for n in found if n in ran], layers, model.backbone.blocks())
        if layers == "all":
            note_left_out([*left_out, *(n for n in found if n not in ran)])
        if not names:
            raise RequestError(
                f"LoRA: found no layer that takes {variant} (a linear one"
                f"{' or a plain convolution' if kind.convolutions else ''}) in the blocks of "
                f"{type(network).__name__}; use another method, such as finetune"
            )
        # A regular expression: peft takes bare names as suffixes, and one may end another.
        wanted = "|".join(re.escape(n) for n in names)
        config = peft_config(variant, wanted, rank, alpha, dropout, any_transposed(network, names))
        model.backbone.network = get_peft_model(network, config, adapter_name=ADAPTER)
        fit_in(model.backbone.network)
        adapters = [p for p in model.backbone.network.parameters() if p.requires_grad]
        model.follow_mode += [
            m for n, m in model.backbone.network.named_modules() if n.endswith("lora_dropout")
        ]
        groups: dict[str, list[nn.Parameter]] = {"adapter": adapters}
        if head:
            groups["head"] = release_heads(model)
        return groups

    return Tuning(variant, apply, shares_base=kind.shares_base, curved=kind.curved)


@contextlib.contextmanager
def adapters_off(model: Model) -> Iterator[None]:
    """Run the base weights of a model that may carry adapters, or other parts that a tuning added."""
    disable = getattr(model.backbone.network, "disable_adapter", None)
    with contextlib.ExitStack() as stack:
        for switch in [*([] if disable is None else [disable]), *model.switches]:
            stack.enter_context(switch())
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
        with in_peft_terms(network):
            model.backbone.network = network.merge_and_unload()


def has_adapters(model: Model) -> bool:
    """Whether the model's network is wrapped by peft."""
    return hasattr(model.backbone.network, "peft_config")
