"""Reference banks: other pictures, from which a sample takes its style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.data import Examples
from tether.errors import RequestError
from tether.progress import bar
from tether.shifts.draws import Draws
from tether.shifts.image.styles.spectral import spectral
from tether.shifts.image.textures import textures
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.recipe import AnyShift, Recipe
from tether.shifts.shift import Shift, wrong_modality
from tether.shifts.supplies import Supplies

_READ = 64  # pictures read at once
# Which pictures a bank holds does not hang on the run's seed: a test set stays the same for all seeds.
_CHOICE = Draws(seed=0)


class ReferenceBank(Protocol):
    """Gives every sample a picture of its own to take a style from."""

    def __call__(self, ids: Tensor, draws: Draws, size: tuple[int, int]) -> Tensor:
        """One reference a sample, float32 (B, 3, *size) in [0, 1], on the ids' device.

        Which one depends on the sample's id and the draws alone, never on the batch.
        """


@dataclass(frozen=True)
class HeldPictures:
    """A bank of pictures in memory; a sample that is among them never gets itself.

    Attributes:
        pixels: (N, 3, H, W) uint8, on the CPU.
        ids: the samples that they are, (N,) int64, rising.
    """

    pixels: Tensor
    ids: Tensor

    def __call__(self, ids: Tensor, draws: Draws, size: tuple[int, int]) -> Tensor:
        """See ReferenceBank."""
        device, ids = ids.device, ids.cpu()
        count = len(self.ids)
        place = torch.searchsorted(self.ids, ids)
        inside = self.ids[place.clamp(max=count - 1)] == ids
        other = draws.integers(ids, 0, count - 1, (), "reference")
        pick = torch.where(
            inside,
            other + (other >= place),  # steps over its own place
            draws.integers(ids, 0, count, (), "reference"),
        )
        return _fitted(self.pixels[pick].to(device).float() / 255, size)


_BANKS: WeakKeyDictionary[Examples, dict[int, HeldPictures]] = WeakKeyDictionary()


def training_pictures(train: Examples, count: int) -> HeldPictures:
    """Up to `count` pictures of a training set; shifts of one run that ask for the same ones share them.

    Raises:
        RequestError: the samples are no pictures, or fewer than two.
    """
    banks = _BANKS.setdefault(train, {})
    if count not in banks:
        banks[count] = _read(train, count)
    return banks[count]


def _read(train: Examples, count: int) -> HeldPictures:
    if len(train) < 2:
        raise RequestError(
            f"expected at least two training pictures, one for another, got {len(train)}; "
            "use references: spectral"
        )
    ids = torch.from_numpy(train.ids)
    chosen = _CHOICE.words(ids, (), "reference bank").argsort()[:count]
    chosen = chosen[ids[chosen].argsort()]
    parts: list[Tensor] = []
    with bar("reading reference pictures", len(chosen)) as progress:
        for start in range(0, len(chosen), _READ):
            rows = chosen[start : start + _READ]
            x = train.batch(rows.numpy()).x
            if not isinstance(x, Tensor):
                raise wrong_modality("reference pictures", "image", "text")
            x = (
                _fitted(x, tuple(parts[0].shape[2:])) if parts else x
            )  # where pictures keep sizes of their own
            parts.append((x * 255).round().to(torch.uint8))
            progress.advance(len(rows))
    return HeldPictures(torch.cat(parts), ids[chosen])


def _fitted(x: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True).clamp(0.0, 1.0)


def generated(ids: Tensor, draws: Draws, size: tuple[int, int]) -> Tensor:
    """The textures that PixMix mixes in, as a ReferenceBank; made when first asked for, then cached."""
    pixels = textures()
    pick = draws.integers(ids, 0, len(pixels), (), "reference").cpu()
    return _fitted(pixels[pick].to(ids.device).float() / 255, size)


# (x, reference, severity, ids, draws) -> x, all float32.
Change = Callable[[Tensor, Tensor, int, Tensor, Draws], Tensor]


def referring(name: str, family: str, summary: str, change: Change) -> Maker:
    """A shift towards a reference picture, as a maker whose options say where references come from."""

    def shift(bank: ReferenceBank) -> Shift:
        def pixels(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
            high, wide = x.shape[2:]
            return change(x, bank(ids, draws.spawn("references"), (high, wide)), severity, ids, draws)

        return Shift(name, family, "image", summary, on_pixels(pixels), default=False)

    def make(references: Literal["train", "textures", "spectral"] = "train", pictures: int = 512) -> AnyShift:
        """A style taken from another picture, drawn for each sample.

        Args:
            references: "train", pictures of the training set, never the sample's own; "textures", the
                generated ones of PixMix; or "spectral", 1/f noise. The latter two need no data.
            pictures: how many training pictures are held, in bytes: 150 KB each at 224 px.
        """
        if references != "train":
            return shift(spectral if references == "spectral" else generated)
        if pictures < 2:
            raise RequestError(f"{name}: expected at least 2 reference pictures, got {pictures}; raise it")

        def build(supplies: Supplies) -> Shift:
            return shift(training_pictures(supplies.train, pictures))

        return Recipe(name, family, "image", summary, build)

    return Maker(name, family, "image", summary, make)
