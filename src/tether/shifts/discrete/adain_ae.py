"""The shift `adain_ae`: another picture's style, by AdaIN on the features of an autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.discrete.backends import autoencoder_of, check_request
from tether.shifts.discrete.fit import STEPS
from tether.shifts.discrete.networks import Autoencoder
from tether.shifts.discrete.pictures import check_pictures
from tether.shifts.discrete.quantiser import exact, in_slices, on_device
from tether.shifts.discrete.styles import Styles, adain, styles_of
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.recipe import Recipe
from tether.shifts.shift import Shift
from tether.shifts.supplies import Supplies

FAMILY = "adain_ae"
SUMMARY = "AdaIN with a training picture's style, in the features of a small autoencoder"
_LEAST = 0.3  # of the blend at full strength (METHODS 5.2: alpha ~ U(.3, 1))


def blend(ids: Tensor, severity: int, draws: Draws) -> Tensor:
    """How much of the other style each sample gets, (B, 1, 1, 1): U(.3, 1) times severity / 5."""
    alpha = _LEAST + (1 - _LEAST) * draws.uniform(ids, (1, 1, 1), "alpha")
    return alpha * (severity / 5)


def stylised(network: Autoencoder, styles: Styles, device: torch.device) -> Shift:
    """The shift over an autoencoder and a pool of styles at hand, both on `device`."""

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        mean, std = styles.drawn(ids, draws)
        alpha = blend(ids, severity, draws)

        def work(part: Tensor, mean: Tensor, std: Tensor, alpha: Tensor) -> tuple[Tensor]:
            z = network.encode(part)
            return (network.decode(z + alpha * (adain(z, mean, std) - z), part),)

        with exact(x.device):
            return in_slices(x, work, mean, std, alpha)[0]

    return Shift("adain_ae", FAMILY, "image", SUMMARY, on_pixels(on_device(change, device)), default=False)


def adain_ae(weights: str | None = None, steps: int = STEPS) -> Recipe:
    """Style transfer through a small autoencoder of the user's own pictures (METHODS 5.2).

    f = encoder(x) gets the channel means and deviations of a training picture's features, drawn per sample
    and never its own; decoder(f + alpha (AdaIN(f) - f)), alpha ~ U(.3, 1) times severity / 5.

    Args:
        weights: a folder made by `tether shifts train-vq --backend ae`; null makes one from the training set.
        steps: that it is trained for.

    Example:
        >>> adain_ae().family
        'adain_ae'
    """
    check_request("adain_ae", "ae", None, steps)

    def build(supplies: Supplies) -> Shift:
        check_pictures(supplies.train, "adain_ae")
        network = autoencoder_of(weights, steps, supplies, "adain_ae")
        styles = styles_of(network, supplies.train, supplies.device)
        return stylised(network, styles, supplies.device)

    return Recipe("adain_ae", FAMILY, "image", SUMMARY, build)


ADAIN_AE = Maker("adain_ae", FAMILY, "image", SUMMARY, adain_ae)
