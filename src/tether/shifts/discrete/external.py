"""ExternalVq: a VQGAN of the user's own, through diffusers' VQModel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.shifts.discrete.quantiser import (
    by_use,
    exact,
    in_slices,
    nearest,
    padded,
    perplexity,
    state_hash,
)


class ExternalVq:
    """A Quantiser over a diffusers VQModel: pixels to [-1, 1], its output clipped and mapped back.

    Args:
        model: the VQModel, frozen.
        key: hash of its weights.
    """

    name = "diffusers"
    lite = False

    def __init__(self, model: Any, key: str) -> None:
        self.model, self.key = model, key
        self.codebook: Tensor = model.quantize.embedding.weight.detach()
        self.usage = torch.ones(len(self.codebook), device=self.codebook.device)
        self._factor = 2 ** (len(model.config.block_out_channels) - 1)

    @property
    def perplexity(self) -> float:
        """Codes used in effect."""
        return perplexity(self.usage)

    def quantise(self, x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
        """As a Quantiser."""
        ranked = by_use(self.usage)[:most]
        vectors = self.codebook[ranked]

        def work(part: Tensor) -> tuple[Tensor, Tensor]:
            z = self.model.encode(padded(part, self._factor) * 2 - 1).latents
            rows = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
            index = ranked[nearest(rows, vectors)].view(len(part), *z.shape[2:])
            latents = self.codebook[index].permute(0, 3, 1, 2).contiguous()
            # Not model.decode: with some options of a VQModel it would look the codes up again.
            given = latents if self.model.config.norm_type == "spatial" else None
            out = self.model.decoder(self.model.post_quant_conv(latents), given)
            out = out[:, :, : part.shape[2], : part.shape[3]].clamp(-1, 1)
            return (out + 1) / 2, index

        with exact(x.device):
            rec, codes = in_slices(x, work)
        return rec, codes


def load_external(weights: str, device: torch.device) -> ExternalVq:
    """Load a VQModel from a folder, or from the hub by its name, as safetensors only.

    Raises:
        RequestError: diffusers is not installed, no such model, or one that is no VQModel.
    """
    try:
        from diffusers import VQModel
    except ImportError as e:
        raise RequestError(
            "backend diffusers: expected the package diffusers, which is not installed; run "
            "`pip install 'tether[vq]'`"
        ) from e
    folder = Path(weights)
    if folder.is_dir() and not (folder / "config.json").is_file():
        inner = [p.parent.name for p in folder.glob("*/config.json")]
        hint = f"; perhaps {folder / inner[0]}" if inner else ""
        raise RequestError(f"weights: expected {folder} to hold the config.json of a VQModel{hint}")
    named = VQModel.load_config(weights) if folder.is_dir() else None
    if named is not None and named.get("_class_name") != "VQModel":
        raise RequestError(
            f"weights: expected a VQModel of diffusers, {weights} holds {named.get('_class_name')}; "
            "give the folder of a VQModel"
        )
    model = _or_request(lambda: VQModel.from_pretrained(weights, use_safetensors=True), weights)
    model = model.float().eval().requires_grad_(False).to(device)
    if (model.config.in_channels, model.config.out_channels) != (3, 3):
        raise RequestError(
            f"weights: expected a VQModel of RGB pictures, {weights} takes {model.config.in_channels} "
            f"channels and gives {model.config.out_channels}; choose another"
        )
    return ExternalVq(model, state_hash(model.state_dict()))


def _or_request(load: Callable[[], Any], weights: str) -> Any:
    try:
        return load()
    except (OSError, ValueError) as e:
        first = (str(e).splitlines() or [type(e).__name__])[0][:300]
        raise RequestError(
            f"weights: {weights!r} could not be loaded as a VQModel ({first}); give a folder with "
            "config.json and safetensors weights, or the hub name of one"
        ) from e
