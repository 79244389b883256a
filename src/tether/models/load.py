"""From a model's name or folder to a backbone; one adapter a library."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tether.data.weights import weights
from tether.errors import RequestError, nearest
from tether.files import read_json
from tether.models import efficientnet
from tether.models.backbone import Backbone
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead, linear_head
from tether.models.text import TextBackbone, last_linear


@dataclass(frozen=True)
class Loaded:
    """A backbone, the classification head it came with, if any, and what it was made from.

    Attributes:
        backbone: ready to run, in eval mode.
        head: the folder's own head when its classes are a task's, else None.
        classes: that head's class names.
        fingerprint: hash of the weights; caches of teachers hang on it.
        source: what peft writes as the base model of an adapter.
    """

    backbone: Backbone
    head: LinearHead | None
    classes: tuple[str, ...] | None
    fingerprint: str
    source: str


PACKAGED: Mapping[str, str] = {
    "efficientnet-lite0": "image classifier EfficientNet-Lite0, ImageNet-1k, 4.65 M parameters, Apache-2.0",
    "minilm-l6": "sentence encoder all-MiniLM-L6-v2, 6 layers, 22.7 M parameters",
}


def load_backbone(config: ModelConfig) -> Loaded:
    """Load a packaged model, a folder (saved model, tether run), or a hub model.

    Raises:
        RequestError: for a name that is none of these, or a folder no adapter reads.

    Example:
        >>> load_backbone(ModelConfig(name="minilm-l6")).backbone.width  # doctest: +SKIP
        384
    """
    if config.name in PACKAGED and config.source in ("auto", "packaged"):
        return _packaged(config)
    folder = Path(config.name).expanduser()
    if (folder / "model" / "config.json").is_file():  # a tether run
        folder = folder / "model"
    if (folder / "config.json").is_file():
        return _folder(folder, config)
    if folder.exists():
        raise RequestError(
            f"model: expected {folder} to hold a config.json, as a saved model does; it has none"
        )
    looks_like_a_path = config.name.startswith((".", "/", "~"))
    if looks_like_a_path or ("/" not in config.name and config.source != "transformers"):
        raise RequestError(
            f"model: {config.name!r} is no packaged model, and no such folder exists; "
            f"{nearest(config.name, PACKAGED)}. A hub model is named owner/name."
        )
    return _transformers(config.name, config, fingerprint=f"hub:{config.name}@{config.revision}")


def _packaged(config: ModelConfig) -> Loaded:
    found = weights(config.name)
    if config.name == "efficientnet-lite0":
        from safetensors.torch import load_file

        network = efficientnet.build(classes=1000, weights=load_file(found))
        backbone = efficientnet.EfficientNetBackbone(network)
        return Loaded(backbone, None, None, file_hash(found), config.name)
    return _transformers(str(found), config, fingerprint=folder_hash(found))


def _folder(folder: Path, config: ModelConfig) -> Loaded:
    described: dict[str, Any] = read_json(folder / "config.json")
    if described.get("architecture") == efficientnet.ARCHITECTURE:
        return _saved_efficientnet(folder, described)
    if "model_type" not in described:
        raise RequestError(
            f"model: {folder}/config.json names neither a transformers model_type nor an architecture "
            f"tether knows ({efficientnet.ARCHITECTURE})"
        )
    return _transformers(str(folder), config, fingerprint=folder_hash(folder))


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


def _transformers(where: str, config: ModelConfig, fingerprint: str) -> Loaded:
    import transformers
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()  # "some weights were not used": expected when a head is replaced
    options: dict[str, Any] = {"revision": config.revision, "trust_remote_code": False}
    described = _or_request(lambda: transformers.AutoConfig.from_pretrained(where, **options), where)
    pooling = config.pooling if config.pooling != "auto" else _pooling(where, described)
    auto = transformers.AutoModelForSequenceClassification if pooling == "head" else transformers.AutoModel
    # use_safetensors: a pickled checkpoint is refused, not unpickled.
    network = _or_request(
        lambda: auto.from_pretrained(where, dtype=torch.float32, use_safetensors=True, **options).eval(),
        where,
    )
    tokenizer = _or_request(lambda: transformers.AutoTokenizer.from_pretrained(where, **options), where)
    limit = min(int(getattr(described, "max_position_embeddings", 512)), int(tokenizer.model_max_length), 128)
    backbone = TextBackbone(network, tokenizer, pooling, config.max_length or limit)
    head, classes = None, None
    if pooling == "head":
        final = last_linear(network, int(described.num_labels))
        head = linear_head(final.weight.detach(), _bias(final))
        classes = tuple(str(described.id2label[i]) for i in range(int(described.num_labels)))
    return Loaded(backbone, head, classes, fingerprint, where)


def _bias(final: torch.nn.Linear) -> torch.Tensor:
    return torch.zeros(final.out_features) if final.bias is None else final.bias.detach()


def _pooling(where: str, described: Any) -> str:
    """Mean for sentence encoders and bare encoders, head for what was saved as a classifier."""
    architectures = getattr(described, "architectures", None) or [""]
    return "head" if architectures[0].endswith("ForSequenceClassification") else "mean"


def _or_request(load: Callable[[], Any], where: str) -> Any:
    try:
        return load()
    except (OSError, ValueError, KeyError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise RequestError(
            f"model: expected {where} to be a transformers model with safetensors weights and a tokenizer; "
            f"loading it said: {first}"
        ) from e


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
