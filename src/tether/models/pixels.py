"""From pixels in [0, 1] to what an image network was trained on: size, mean and deviation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError
from tether.files import read_json, write_json
from tether.progress import say

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Pixels:
    """How a network wants its pictures.

    Attributes:
        mean: of each colour, in [0, 1] units.
        std: of each colour.
        side: the network's own picture size.
        fixed: the network takes no other size; pictures are resized to `side`, bilinear, inside the model,
            so that a gradient passes and the data's size stays the user's choice.

    Example:
        >>> Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 8, True).normalise(torch.ones(1, 3, 4, 4)).shape
        torch.Size([1, 3, 8, 8])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int
    fixed: bool

    @property
    def name(self) -> str:
        """Two models of one name read the same normalised pixels."""
        size = f"-{self.side}" if self.fixed else ""
        return "pixels-" + "-".join(f"{v:.3f}" for v in (*self.mean, *self.std)) + size

    def normalise(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the network's input."""
        if self.fixed and tuple(x.shape[-2:]) != (self.side, self.side):
            size = (self.side, self.side)
            x = nn.functional.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
        mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        # Channels last: on a CPU the convolutions of a small network take about half the time.
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)

    def embed(self, batch: Batch, family: str, device: torch.device) -> Batch:
        """A raw batch to normalised pixels; one already normalised for this family passes.

        Raises:
            RequestError: for texts.
        """
        if batch.space == family:
            return batch
        if not isinstance(batch.x, Tensor):
            raise RequestError(
                "model: an image model expects pictures, got texts; choose a text model or another data set"
            )
        x = self.normalise(batch.x.to(device))
        return Batch(x=x, y=batch.y, ids=batch.ids, group=batch.group, space=family)

    def write(self, folder: Path) -> None:
        """`preprocessor_config.json`, so that the library's own image processor does the same."""
        size = {"height": self.side, "width": self.side}
        write_json(
            folder / "preprocessor_config.json",
            {
                "image_processor_type": "ViTImageProcessor",
                "do_resize": True,
                "size": size,
                "resample": 2,  # bilinear
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": list(self.mean),
                "image_std": list(self.std),
            },
        )


def read_pixels(described: Mapping[str, Any] | None, side: int, network: nn.Module) -> Pixels:
    """From a processor's JSON.

    Args:
        described: the JSON, or None when the model came without one: then ImageNet's mean and deviation,
            with a note.
        side: the network's own picture size when the JSON does not say.
        network: asked whether it takes other sizes.
    """
    if described is None:
        say("note: the model has no preprocessor_config.json; ImageNet's mean and deviation are assumed")
        described = {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
    plain = described.get("do_normalize") is False
    mean = (0.0,) * 3 if plain else described.get("image_mean", IMAGENET_MEAN)
    std = (1.0,) * 3 if plain else described.get("image_std", IMAGENET_STD)
    fixed = _fixed_size(network)
    return Pixels(_three(mean), _three(std), side if fixed else _side(described, side), fixed)


def processor_json(path: Path) -> dict[str, Any]:
    """The image part of a `preprocessor_config.json` or a `processor_config.json`."""
    whole: dict[str, Any] = read_json(path)
    part: dict[str, Any] = whole.get("image_processor", whole)
    return part


def _three(values: float | Sequence[float]) -> tuple[float, ...]:
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(float(v) for v in values)


def _side(described: Mapping[str, Any], default: int) -> int:
    size = described.get("crop_size") if described.get("do_center_crop") else None
    size = size or described.get("size") or default
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge") or default
    return int(size)


def _fixed_size(network: nn.Module) -> bool:
    """Position embeddings of one size: the library interpolates them only when asked to.

    Networks that take any size (convolutions, DINOv2) have no such switch.
    """
    return any(
        "interpolate_pos_encoding" in inspect.signature(m.forward).parameters for m in network.modules()
    )
