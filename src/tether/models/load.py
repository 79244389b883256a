"""From a model's name or folder to a backbone; one adapter a library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tether.data.weights import weights
from tether.errors import RequestError, nearest
from tether.files import read_json
from tether.models import efficientnet, openclip, registered, timm_images
from tether.models.config import ModelConfig
from tether.models.emoji_two_tower import emoji_two_tower
from tether.models.extras import read_extras
from tether.models.head_file import ABOUT, read_head
from tether.models.heads import LinearHead, linear_head
from tether.models.hub import load_transformers
from tether.models.loaded import Loaded as Loaded
from tether.models.map_head import map_head
from tether.models.prompts import read_prompts

SMALL: Mapping[str, str] = {"image": "mobilenet-v2", "text": "minilm-l3"}  # for small teachers

RULE = "predict.json"  # how a saved model predicts, where that is more than a softmax

PACKAGED: Mapping[str, str] = {
    "efficientnet-lite0": "image classifier EfficientNet-Lite0, ImageNet-1k, 4.65 M parameters, Apache-2.0",
    "mobilenet-v2": "image classifier MobileNetV2, ImageNet-1k, 3.5 M parameters",
    "dinov2-s": "vision transformer ViT-S/14 in the layout of DINOv2-small, 22 M parameters",
    "minilm-l6": "sentence encoder all-MiniLM-L6-v2, 6 layers, 22.7 M parameters",
    "emoji-two-tower": "two towers tuned here on emoji names, for zero-shot heads, 45 M parameters",
    "minilm-l3": "sentence encoder paraphrase-MiniLM-L3, 3 layers, 17.2 M parameters",
}


def load_backbone(config: ModelConfig) -> Loaded:
    """Load a packaged model, a folder (saved model, tether run), or a hub model.

    Raises:
        RequestError: for a name that is none of these, a folder no adapter reads, or a head the model
            cannot give.

    Example:
        >>> load_backbone(ModelConfig(name="minilm-l6")).backbone.width  # doctest: +SKIP
        384
    """
    if make := registered.find(config.name):
        backbone = make()
        return Loaded(backbone, None, None, registered.weights_hash(backbone.network), config.name)
    if config.name in PACKAGED and config.source in ("auto", "packaged"):
        return _with_head(_packaged(config), config)
    folder = Path(config.name).expanduser()
    if (folder / "model").is_dir() and not (folder / "config.json").is_file():  # a tether run
        folder = folder / "model"
    if (folder / "config.json").is_file() or (folder / openclip.CONFIG).is_file():
        return _with_head(_folder(folder, config), config)
    if (folder / ABOUT).is_file():
        raise RequestError(
            f"model: {folder} holds a module saved by tether.wrap, whose code is not in it; read it with "
            "tether.models.wrap.reload(folder, tether.wrap(module, ...))"
        )
    if folder.exists():
        raise RequestError(
            f"model: expected {folder} to hold a config.json, as a saved model does; it has none"
        )
    looks_like_a_path = config.name.startswith((".", "/", "~"))
    if looks_like_a_path or ("/" not in config.name and config.source not in BY_NAME):
        raise RequestError(
            f"model: {config.name!r} is no packaged model, and no such folder exists; "
            f"{nearest(config.name, [*PACKAGED, *registered.names()])}. A hub model is named owner/name."
        )
    load = BY_NAME.get(config.source, load_transformers)
    return _with_head(load(config.name, config, f"hub:{config.name}@{config.revision}"), config)


BY_NAME: Mapping[str, Callable[[str, ModelConfig, str], Loaded]] = {
    "transformers": load_transformers,
    "timm": timm_images.load_named,
    "openclip": openclip.load_named,
}


def _packaged(config: ModelConfig) -> Loaded:
    found = emoji_two_tower() if config.name == "emoji-two-tower" else weights(config.name)
    if config.name == efficientnet.ARCHITECTURE:
        from safetensors.torch import load_file

        network = efficientnet.build(classes=1000, weights=load_file(found))
        backbone = efficientnet.EfficientNetBackbone(network)
        return Loaded(backbone, None, None, file_hash(found), config.name)
    return load_transformers(str(found), config, fingerprint=folder_hash(found))


def _folder(folder: Path, config: ModelConfig) -> Loaded:
    saved = read_head(folder)
    if saved is not None and config.pooling == "auto":
        config = config.model_copy(update={"pooling": saved.about.get("pooling", "auto")})
    loaded = _network_of(folder, config)
    if saved is not None:
        loaded = replace(loaded, head=saved.head, classes=saved.classes)
    read_prompts(folder, loaded.backbone)
    rule = read_json(folder / RULE) if (folder / RULE).is_file() else None
    return replace(loaded, extras=read_extras(folder), rule=rule)


def _network_of(folder: Path, config: ModelConfig) -> Loaded:
    fingerprint = folder_hash(folder)
    if (folder / openclip.CONFIG).is_file():
        return openclip.load_folder(folder, config, fingerprint)
    described: dict[str, Any] = read_json(folder / "config.json")
    if described.get("architecture") == efficientnet.ARCHITECTURE:
        return _saved_efficientnet(folder, described)
    if "architecture" in described and "model_type" not in described:
        return timm_images.load_folder(folder, config, fingerprint)
    if "model_type" not in described:
        raise RequestError(
            f"model: {folder}/config.json names neither a transformers model_type nor an architecture "
            f"of timm or tether ({efficientnet.ARCHITECTURE})"
        )
    return load_transformers(str(folder), config, fingerprint)


def _saved_efficientnet(folder: Path, described: Mapping[str, Any]) -> Loaded:
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    if not path.is_file():
        raise RequestError(f"model: expected {path}, but there is none")
    state = load_file(path)
    network = efficientnet.build(classes=int(described["num_classes"]), weights=state)
    return Loaded(
        backbone=efficientnet.EfficientNetBackbone(network),
        head=linear_head(state["_fc.weight"], state["_fc.bias"]),
        classes=tuple(described["classes"]),
        fingerprint=file_hash(path),
        source=str(folder),
    )


def _with_head(loaded: Loaded, config: ModelConfig) -> Loaded:
    """Settle where the initial head comes from, and make the reading part of the fingerprint."""
    reading = config.model_dump(mode="json", exclude={"name", "source", "revision", "image_size"})
    parts = json.dumps([loaded.fingerprint, reading], sort_keys=True)
    loaded = replace(loaded, fingerprint=hashlib.sha256(parts.encode()).hexdigest()[:16])
    if config.head in ("probe", "map"):  # another head than those it was saved with
        loaded = replace(loaded, extras=None, rule=None)
    if config.head == "probe":
        return replace(loaded, head=None, classes=None, make_head=None, by_name=None)
    if config.head == "zero_shot":
        make = loaded.make_head or loaded.by_name
        if make is None:
            raise RequestError(
                "model.head: zero_shot needs a model with a text tower, such as CLIP, or a sentence encoder; "
                f"{config.name} is neither; use head: probe"
            )
        return replace(loaded, head=None, classes=None, make_head=make)
    if config.head == "map":
        own, source, groups = loaded.head, loaded.classes, config.map
        if not isinstance(own, LinearHead) or source is None or groups is None:
            raise RequestError(
                f"model.head: map needs a model with a classification head of its own; {config.name} has "
                "none; use head: probe"
            )
        weight, bias = own.folded()
        return replace(
            loaded, head=None, classes=None, make_head=lambda c: map_head(weight, bias, source, groups, c)
        )
    return loaded


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes, the first 16 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def folder_hash(folder: Path) -> str:
    """Hash of a folder's weights and configuration files, names included."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    return hashlib.sha256(":".join(f"{f.name}={file_hash(f)}" for f in files).encode()).hexdigest()[:16]
