"""The shift `deepaugment_lite`: pictures through an autoencoder whose weights were tampered with."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.shifts.discrete.backends import autoencoder_of, check_request
from tether.shifts.discrete.blocks import Residual
from tether.shifts.discrete.fit import STEPS
from tether.shifts.discrete.networks import Autoencoder
from tether.shifts.discrete.perturb import ACTIVATIONS, ANY, SPATIAL, Operation, changed_activations
from tether.shifts.discrete.quantiser import exact, in_slices, on_device
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.recipe import Recipe
from tether.shifts.shift import Shift
from tether.shifts.supplies import Supplies

FAMILY = "deepaugment"
NAME = "deepaugment_lite"
SUMMARY = "through a small autoencoder with tampered weights; DeepAugment with a network of one's own"
NETWORKS = 16
_OPERATIONS = 3  # on weights, per network (METHODS 5.2)
_PARTS = (0.03, 0.06, 0.09, 0.12, 0.16)  # of filters, weights or channels, by severity


@dataclass(frozen=True, eq=False)
class Tampered:
    """A fixed set of perturbed copies of a network; each sample goes through one of them.

    Attributes:
        network: the autoencoder, itself left as it is.
        count: how many copies.
        seed: what they are drawn from. Number k of severity s is the same in every process, and its changes
            at a higher severity contain those at a lower one.
    """

    network: Autoencoder
    count: int
    seed: int
    _made: dict[tuple[int, int], Autoencoder] = field(default_factory=dict)

    def copy(self, k: int, severity: int) -> Autoencoder:
        """Network k at a severity."""
        if (k, severity) not in self._made:
            self._made[k, severity] = self._tamper(k, severity)
        return self._made[k, severity]

    def run(self, x: Tensor, k: int, severity: int) -> Tensor:
        """Pictures (B, 3, H, W) through network k."""
        network, draws, net = self.copy(k, severity), self._draws(), torch.tensor([k])
        kind = ACTIVATIONS[int(draws.integers(net, 0, len(ACTIVATIONS), (), "activation"))]

        def work(part: Tensor) -> tuple[Tensor]:
            z = changed_activations(network.encode(part), kind, _PARTS[severity - 1], draws, net)
            return (network.decode(z, part),)

        return in_slices(x, work)[0]

    def _draws(self) -> Draws:
        return Draws(self.seed).spawn(NAME)

    def _tamper(self, k: int, severity: int) -> Autoencoder:
        network, draws, net = copy.deepcopy(self.network), self._draws(), torch.tensor([k])
        places = list(_places(network))
        for i in range(_OPERATIONS):
            at = int(draws.integers(net, 0, len(places), (), f"{i}/place"))
            name, operation, layer = places[at]
            layer.weight.copy_(operation(layer.weight, _PARTS[severity - 1], draws, net, f"{i}/{name}"))
        if float(draws.uniform(net, (), "skip")) < _PARTS[severity - 1]:  # a block that is left out
            blocks = [m for m in network.modules() if isinstance(m, Residual)]
            skipped = blocks[int(draws.integers(net, 0, len(blocks), (), "block"))]
            skipped.back.weight.zero_()
            if skipped.back.bias is not None:
                skipped.back.bias.zero_()
        return network


def _places(network: nn.Module) -> Iterator[tuple[str, Operation, nn.Conv2d]]:
    """Every operation at every convolution where it does something.

    Not at the first and the last one: their filters are patches of pixels, and a change shows as a 4 px grid
    over the whole picture and as little else.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers[1:-1]:
        for operations in (ANY, SPATIAL if layer.kernel_size != (1, 1) else {}):
            for name, operation in operations.items():
                yield name, operation, layer


def distorted(tampered: Tampered, device: torch.device) -> Shift:
    """The shift over a set of perturbed networks at hand, on `device`."""

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        which = draws.integers(ids, 0, tampered.count, (), "network")
        out = torch.empty_like(x)
        with exact(x.device):
            for k in torch.unique(
                which
            ).tolist():  # at most `count` forward passes, each over its own samples
                out[which == k] = tampered.run(x[which == k], k, severity)
        return out

    return Shift(NAME, FAMILY, "image", SUMMARY, on_pixels(on_device(change, device)), default=False)


def deepaugment_lite(
    weights: str | None = None, steps: int = STEPS, networks: int = NETWORKS, seed: int = 0
) -> Recipe:
    """Images through a small autoencoder whose weights and activations are perturbed (METHODS 5.2).

    The original uses large pretrained image-to-image networks; results with this one are labelled lite.

    Args:
        weights: a folder made by `tether shifts train-vq --backend ae`; null makes one from the training set.
        steps: that it is trained for.
        networks: perturbed copies; a sample goes through one, drawn anew each step.
        seed: of the perturbations.

    Raises:
        RequestError: no networks.

    Example:
        >>> deepaugment_lite(networks=4).name
        'deepaugment_lite'
    """
    check_request(NAME, "ae", None, steps)
    if networks < 1:
        raise RequestError(f"{NAME}.networks: expected at least 1, got {networks}; the default is {NETWORKS}")

    def build(supplies: Supplies) -> Shift:
        network = autoencoder_of(weights, steps, supplies, NAME)
        return distorted(Tampered(network, networks, seed), supplies.device)

    return Recipe(NAME, FAMILY, "image", SUMMARY, build)


DEEPAUGMENT = Maker(NAME, FAMILY, "image", SUMMARY, deepaugment_lite)
