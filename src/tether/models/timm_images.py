"""Image models of the timm library."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError
from tether.files import read_json, write_json
from tether.models import rates
from tether.models.backbone import Encoded, Rate, blank_picture, capture, depth_fractions, feature_device
from tether.models.config import ModelConfig
from tether.models.discover import Slot, find_blocks, is_convolutional, linear_layer, stage_ends, take_off
from tether.models.heads import linear_head
from tether.models.loaded import Loaded
from tether.models.pixels import Pixels


class TimmImages(nn.Module):
    """A timm classifier; features are what its last linear layer receives.

    Args:
        network: made by `timm.create_model`.
        architecture: its timm name.

    Example:
        >>> spec = ModelConfig(name="resnet18", source="timm")
        >>> load_backbone(spec).backbone.width  # doctest: +SKIP
        512
    """

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(self, network: Any, architecture: str) -> None:
        super().__init__()
        given: Mapping[str, Any] = network.pretrained_cfg
        self.network = network
        self.architecture = architecture
        self._blocks = stages(network)
        self._slot: Slot
        self._slot, self.own = take_off(network, int(network.num_classes))
        self.width = self.own[0].shape[1]
        side, fixed = picture_side(network)
        self.pixels = Pixels(
            tuple(given.get("mean", (0.5,) * 3)), tuple(given.get("std", (0.5,) * 3)), side, fixed
        )
        self.family = f"{architecture}-{self.pixels.name}"
        self._convolutional = is_convolutional(self._blocks)
        self.rates = rates.CONVOLUTIONAL if self._convolutional else rates.IMAGE
        self._taps: tuple[int, ...] | None = None

    def embed(self, batch: Batch) -> Batch:
        """Pixels (B, 3, H, W) in [0, 1] to normalised pixels."""
        return self.pixels.embed(batch, self.family, feature_device(self.network))

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features (B, D) and block outputs, (B, T, D) or (B, C, H, W)."""
        x = self.embed(batch).x
        with capture(self._blocks, hidden) as found, self._slot.listen() as heard:
            self.network(x)
        return Encoded(heard[0], found)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers, or the stages or blocks of a convolutional network."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Depths 1/4, 1/2, 3/4 and 1; the stage outputs of a convolutional network."""
        if self._taps is None:
            count = len(self._blocks)
            self._taps = depth_fractions(count)
            if self._convolutional and count > 4:
                with torch.no_grad():
                    self._taps = stage_ends(self.encode(self.blank(), range(count)).hidden)
        return self._taps

    def blank(self) -> Batch:
        """One black picture."""
        return blank_picture(self.pixels.side, feature_device(self.network))

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """A folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` loads."""
        self._slot.put(linear_layer(weight, bias))
        try:
            self._write(folder, classes)
        finally:
            self._slot.put(nn.Identity())

    def save_network(self, folder: Path) -> None:
        """The same with a blank classifier; the head lies beside it."""
        self.save(folder, torch.zeros(1, self.width), torch.zeros(1), ["head.safetensors"])

    def _write(self, folder: Path, classes: Sequence[str]) -> None:
        from safetensors.torch import save_file

        network: Any = self.network
        state = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        given = {k: v for k, v in network.pretrained_cfg.items() if k in KEPT and v is not None}
        write_json(
            folder / "config.json",
            {
                "architecture": self.architecture,
                "num_classes": len(classes),
                "num_features": self.width,
                "label_names": list(classes),
                "model_args": _plain(getattr(network, "tether_args", {})),
                "pretrained_cfg": {**given, "num_classes": len(classes), "label_names": list(classes)},
            },
        )


# What timm reads back of a pretrained configuration; addresses of other weights stay out.
KEPT = (
    "tag", "input_size", "fixed_input_size", "min_input_size", "interpolation", "crop_pct", "crop_mode",
    "mean", "std", "num_classes", "pool_size", "first_conv", "classifier", "license",
)  # fmt: skip


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(arguments)))
    return plain


def stages(network: Any) -> list[nn.Module]:
    """The blocks, through the library's own description of its features.

    `feature_info` names the modules that end a stage, the stem's among them. Where they are the members of
    one container (`blocks.3`, `stages.0`), the blocks are all of its members; where they stand alone
    (`layer1`), they are the last four.
    """
    named = [str(entry["module"]) for entry in getattr(network, "feature_info", [])]
    if not named:
        return find_blocks(network)
    parents = Counter(name.rpartition(".")[0] for name in named)
    parent = parents.most_common(1)[0][0]
    if parent:
        return list(network.get_submodule(parent).children())
    return [network.get_submodule(name) for name in named[-4:]]


def picture_side(network: Any) -> tuple[int, bool]:
    """The network's own picture size, and whether it takes no other.

    The patch embedding knows best: a size given when the network was made overrides its configuration's.
    """
    given: Mapping[str, Any] = network.pretrained_cfg
    side = int((given.get("input_size") or (3, 224, 224))[-1])
    patches = getattr(network, "patch_embed", None)
    made = getattr(patches, "img_size", None)
    if made is not None:
        side = int(made[-1])
    return side, bool(getattr(patches, "strict_img_size", False) or given.get("fixed_input_size", False))


def import_timm() -> Any:
    """The library.

    Raises:
        RequestError: when it is not installed.
    """
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as e:
        raise RequestError(
            "model.source: timm needs the extra `timm`; install it with: pip install 'tether[timm]'"
        ) from e


def load_folder(folder: Path, config: ModelConfig, fingerprint: str) -> Loaded:
    """A folder in timm's hub layout: `config.json` and `model.safetensors`.

    Raises:
        RequestError: weights in another format, or of another architecture.
    """
    described: dict[str, Any] = read_json(folder / "config.json")
    network = _create(f"local-dir:{folder}", described, folder / "model.safetensors")
    backbone = TimmImages(network, str(described["architecture"]))
    names = described.get("label_names") or described.get("pretrained_cfg", {}).get("label_names")
    classes = tuple(names) if names and len(names) == int(network.num_classes) else None
    return Loaded(backbone, linear_head(*backbone.own), classes, fingerprint, str(folder))


def load_named(name: str, config: ModelConfig, fingerprint: str) -> Loaded:
    """A timm name such as `resnet18.a1_in1k`, or owner/name of a timm model on the hub.

    Raises:
        RequestError: an unknown name, or a model without safetensors weights on the hub.
    """
    timm = import_timm()
    repository = name
    if "/" not in name:
        given = timm.get_pretrained_cfg(name) if timm.is_model(name.split(".")[0]) else None
        repository = str(getattr(given, "hf_hub_id", None) or "")
        if not repository:
            raise RequestError(
                f"model: timm has no pretrained weights named {name!r}; timm.list_pretrained() lists them"
            )
    folder = _download(repository, config.revision)
    loaded = load_folder(folder, config, fingerprint)
    return Loaded(loaded.backbone, loaded.head, loaded.classes, fingerprint, name)


def _download(repository: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(repository, "config.json", revision=revision)
        # This very file: the library itself would also take a pickled one.
        return Path(hf_hub_download(repository, "model.safetensors", revision=revision)).parent
    except (OSError, ValueError) as e:
        raise RequestError(
            f"model: expected {repository} to be on the hub with a model.safetensors; asking for it said: "
            f"{str(e).splitlines()[0]}"
        ) from e


def _create(name: str, described: Mapping[str, Any], weights: Path) -> Any:
    timm = import_timm()
    if not weights.is_file():
        raise RequestError(f"model: expected {weights}, but there is none; pickled weights are not read")
    arguments = dict(described.get("model_args") or {})
    try:
        network = timm.create_model(name, pretrained=False, **_own_count(described), **arguments)
        from safetensors.torch import load_file

        network.load_state_dict(load_file(weights))
    except (RuntimeError, ValueError, TypeError) as e:
        raise RequestError(
            f"model: expected {weights.parent} to be a timm model; loading it said: {str(e).splitlines()[0]}"
        ) from e
    network.tether_args = arguments
    return network.eval()


def _own_count(described: Mapping[str, Any]) -> dict[str, int]:
    count = described.get("num_classes") or described.get("pretrained_cfg", {}).get("num_classes")
    return {} if count is None else {"num_classes": int(count)}
