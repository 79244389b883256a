"""Adapters that peft has beside plain LoRA: which layers each takes, and what merging may do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

Variant = Literal["lora", "rslora", "dora", "pissa", "ia3"]


@dataclass(frozen=True)
class Kind:
    """One variant.

    Attributes:
        options: of peft's `LoraConfig` beside rank, scale and dropout; None for IA3, which has none of these.
        convolutions: whether it takes a plain convolution.
        fused: whether it takes the one bare weight of an `nn.MultiheadAttention`.
        shares_base: whether the base weights stay as they were.
        curved: as of a Tuning.
    """

    options: Mapping[str, Any] | None
    convolutions: bool = True
    fused: bool = False
    shares_base: bool = True
    curved: str | None = None


KINDS: Mapping[str, Kind] = {
    "lora": Kind({}, fused=True),
    "rslora": Kind({"use_rslora": True}, fused=True),
    "dora": Kind(
        {"use_dora": True},
        curved="DoRA's weight m (W + BA) / ||W + BA|| is not linear in m and B, so that half of them does "
        "not give half of the change",
    ),
    "pissa": Kind(
        {"init_lora_weights": "pissa"},
        convolutions=False,
        shares_base=False,
        curved="PiSSA's product BA starts from W's largest singular vectors instead of 0, and no scale on "
        "one factor leads from the first BA to the last",
    ),
    "ia3": Kind(None),
}


def takes(variant: Variant) -> Callable[[nn.Module], bool]:
    """Whether peft has this variant for a layer, of those that plain LoRA can adapt.

    Example:
        >>> takes("dora")(nn.Linear(2, 2)), takes("pissa")(nn.Conv2d(3, 3, 1))
        (True, False)
    """
    kind = KINDS[variant]

    def fitting(module: nn.Module) -> bool:
        if isinstance(module, nn.MultiheadAttention):
            return kind.fused
        return kind.convolutions or not isinstance(module, nn.Conv2d)

    return fitting


def peft_config(
    variant: Variant, targets: str, rank: int, alpha: float, dropout: float, transposed: bool
) -> Any:
    """The configuration that peft wants.

    Args:
        variant: which.
        targets: a regular expression over module names.
        rank: r; IA3 has none.
        alpha: s = alpha / r, and alpha / sqrt(r) for rsLoRA.
        dropout: on the adapters' input.
        transposed: some weights are kept as (in, out).
    """
    from peft import IA3Config, LoraConfig

    options = KINDS[variant].options
    if options is None:
        # Every layer's output is scaled. The paper scales keys, values and the hidden layer of the MLP, which
        # only names would tell apart; peft wants to know the latter, whose inputs it would scale.
        return IA3Config(target_modules=targets, feedforward_modules=[], fan_in_fan_out=transposed)
    return LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, fan_in_fan_out=transposed,
        **options,
    )  # fmt: skip
