"""What DeepAugment-lite does to a network's weights and activations (METHODS 5.2)."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

from tether.shifts.draws import Draws

# (weight (O, I, h, w), part of it, draws, the network's id (1,), name) -> weight. The draws do not depend on
# the part: a larger one changes the same filters and more.
Operation = Callable[[Tensor, float, Draws, Tensor, str], Tensor]


def _filters(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
    """Which output filters change, (O, 1, 1, 1) bool."""
    hit = draws.uniform(net, (weight.shape[0],), f"{name}/filters")[0] < part
    return hit[:, None, None, None].to(weight.device)


def _noise(weight: Tensor, draws: Draws, net: Tensor, name: str) -> Tensor:
    """Normal, with the weight's own deviation."""
    noise = draws.normal(net, tuple(weight.shape), f"{name}/noise")[0].to(weight.device)
    return noise * weight.std()


def _on_filters(change: Callable[[Tensor], Tensor]) -> Operation:
    """An operation that replaces some filters by a function of them."""

    def operation(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
        return torch.where(_filters(weight, part, draws, net, name), change(weight), weight)

    return operation


def _random(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
    return torch.where(_filters(weight, part, draws, net, name), _noise(weight, draws, net, name), weight)


def _add_noise(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
    return weight + part * _noise(weight, draws, net, name)


def _drop(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
    lost = draws.uniform(net, tuple(weight.shape), f"{name}/weights")[0].to(weight.device) < part
    return weight.masked_fill(lost, 0.0)


def _scale(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
    factor = torch.exp(2 * draws.uniform(net, (weight.shape[0],), f"{name}/factor")[0] - 1).to(weight.device)
    return torch.where(_filters(weight, part, draws, net, name), weight * factor[:, None, None, None], weight)


def _shuffle(weight: Tensor, part: float, draws: Draws, net: Tensor, name: str) -> Tensor:
    order = draws.uniform(net, (weight.shape[1],), f"{name}/order")[0].argsort().to(weight.device)
    return torch.where(_filters(weight, part, draws, net, name), weight[:, order], weight)


# Those on the left need a kernel larger than 1 x 1 to do anything.
SPATIAL = MappingProxyType(
    {
        "flip_sides": _on_filters(lambda w: w.flip(3)),
        "flip_upside_down": _on_filters(lambda w: w.flip(2)),
        "transpose": _on_filters(lambda w: w.transpose(2, 3)),
    }
)
ANY: MappingProxyType[str, Operation] = MappingProxyType(
    {
        "negate": _on_filters(torch.neg),
        "zero": _on_filters(torch.zeros_like),
        "random_filters": _random,
        "noise": _add_noise,
        "drop": _drop,
        "scale": _scale,
        "shuffle_inputs": _shuffle,
    }
)
ACTIVATIONS = ("none", "flip_signs", "swap_channels")


def changed_activations(z: Tensor, kind: str, part: float, draws: Draws, net: Tensor) -> Tensor:
    """Latents (B, C, h, w) with some channels negated or exchanged, the same ones for every sample."""
    if kind == "none":
        return z
    hit = (draws.uniform(net, (z.shape[1],), "channels")[0] < part).to(z.device)
    if kind == "flip_signs":
        return torch.where(hit[:, None, None], -z, z)
    chosen = hit.nonzero().squeeze(1)
    out = z.clone()
    out[:, chosen] = z[:, chosen.roll(1)]
    return out
