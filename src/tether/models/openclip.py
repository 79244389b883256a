"""Two-tower models of the open_clip library."""

from __future__ import annotations

import copy
import importlib
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
from tether.models.discover import find_blocks
from tether.models.head_file import write_head
from tether.models.heads import linear_head
from tether.models.loaded import Loaded
from tether.models.pixels import Pixels
from tether.models.text_tower import TextTower
from tether.models.zero_shot import TEMPLATES, ZeroShotHead, class_embeddings

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")


class OpenClipImages(nn.Module):
    """The image tower as a backbone; the text tower only makes class embeddings, unless a tuning asks for it.

    Args:
        whole: the open_clip module.
        tokenizer: texts to token ids (N, T).
        described: the folder's `open_clip_config.json`; written back on saving.
        templates: prompts for class names.

    Example:
        >>> spec = ModelConfig(name="laion/CLIP-ViT-B-32-laion2B-s34B-b79K", source="openclip")
        >>> load_backbone(spec).backbone.width  # doctest: +SKIP
        512
    """

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(
        self,
        whole: Any,
        tokenizer: Any,
        described: Mapping[str, Any],
        templates: Sequence[str] = TEMPLATES,
    ) -> None:
        super().__init__()
        self.templates = tuple(templates)
        self.network = whole.visual
        self._whole = (whole,)  # in a tuple: the text tower is no part of what trains, moves or counts
        self.tokenizer = tokenizer
        self.described = copy.deepcopy(dict(described))
        side = whole.visual.image_size
        self.pixels = Pixels(
            tuple(whole.visual.image_mean),
            tuple(whole.visual.image_std),
            side if isinstance(side, int) else max(side),
            fixed=True,
        )
        self.family = f"open_clip-{self.pixels.name}"
        self.rates = rates.TWO_TOWER
        self._blocks = find_blocks(self.network)
        with torch.no_grad():
            self.width = int(self.encode(self.blank()).features.shape[-1])

    def embed(self, batch: Batch) -> Batch:
        """Pixels (B, 3, H, W) in [0, 1] to normalised pixels of the tower's size."""
        return self.pixels.embed(batch, self.family, feature_device(self.network))

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Image features (B, D), not normalised, and block outputs (B, T, D)."""
        with capture(self._blocks, hidden) as found:
            features = self.network(self.embed(batch).x)
        return Encoded(features, found)

    def blocks(self) -> Sequence[nn.Module]:
        """The image tower's layers."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Layers at depths 1/4, 1/2, 3/4 and 1."""
        return depth_fractions(len(self._blocks))

    def blank(self) -> Batch:
        """One black picture."""
        return blank_picture(self.pixels.side, feature_device(self.network))

    def text_features(self, texts: list[str]) -> Tensor:
        """Text features (N, D), not normalised, on the host."""
        with torch.no_grad():
            return self._encode_texts(texts).cpu()

    def text_tower(self) -> TextTower:
        """The text half, as what trains."""
        return TextTower(self._whole[0], ("visual",), self._encode_texts)

    def _encode_texts(self, texts: list[str]) -> Tensor:
        whole = self._whole[0]
        features: Tensor = whole.encode_text(self.tokenizer(texts).to(whole.logit_scale.device))
        return features

    def zero_shot(self, classes: Sequence[str], templates: Sequence[str]) -> ZeroShotHead:
        """The head from class names (METHODS 1.2, `zs`)."""
        whole = self._whole[0]
        bias = getattr(whole, "logit_bias", None)
        return ZeroShotHead(
            class_embeddings(self.text_features, classes, templates),
            float(whole.logit_scale.detach()),
            0.0 if bias is None else float(bias.detach()),
        )

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """The whole two-tower model, with the linear head on image features in `head.safetensors`."""
        self.save_network(folder)
        write_head(folder, linear_head(weight, bias), classes)

    def save_network(self, folder: Path) -> None:
        """A folder that `open_clip.create_model("local-dir:FOLDER")` loads."""
        from safetensors.torch import save_file

        state = {k: v.detach().cpu().contiguous().clone() for k, v in self._whole[0].state_dict().items()}
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
        preprocess = {
            **self.described.get("preprocess_cfg", {}),
            "mean": list(self.pixels.mean),
            "std": list(self.pixels.std),
        }
        write_json(folder / CONFIG, {"model_cfg": self.described["model_cfg"], "preprocess_cfg": preprocess})


def import_open_clip() -> Any:
    """The library.

    Raises:
        RequestError: when it is not installed.
    """
    try:
        return importlib.import_module("open_clip")
    except ModuleNotFoundError as e:
        raise RequestError(
            "model.source: openclip needs the extra `openclip`; install it with: "
            "pip install 'tether[openclip]'"
        ) from e


def load_folder(folder: Path, config: ModelConfig, fingerprint: str) -> Loaded:
    """A folder in open_clip's hub layout: `open_clip_config.json` and safetensors weights.

    Raises:
        RequestError: no such config, weights in another format, or of another architecture.
    """
    open_clip = import_open_clip()
    described: dict[str, Any] = read_json(folder / CONFIG)
    if "model_cfg" not in described:
        raise RequestError(f"{folder / CONFIG}: expected the key model_cfg, as open_clip writes it")
    if "hf_model_name" in described["model_cfg"].get("text_cfg", {}):
        raise RequestError(
            f"model: {folder} has a text tower of another library, which open_clip would fetch by itself; "
            "expected one with its own text tower"
        )
    if not any((folder / name).is_file() for name in HUB_WEIGHTS):
        raise RequestError(
            f"model: expected {folder / WEIGHTS}, but there is none; pickled weights are not read"
        )
    try:
        whole = open_clip.create_model(f"local-dir:{folder}", precision="fp32").eval()
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    except (RuntimeError, ValueError, KeyError, TypeError) as e:
        raise RequestError(
            f"model: expected {folder} to be an open_clip model; loading it said: {str(e).splitlines()[0]}"
        ) from e
    backbone = OpenClipImages(whole, tokenizer, described, config.templates)
    return Loaded(
        backbone,
        None,
        None,
        fingerprint,
        str(folder),
        make_head=lambda classes: backbone.zero_shot(classes, config.templates),
    )


def load_named(name: str, config: ModelConfig, fingerprint: str) -> Loaded:
    """owner/name of an open_clip model on the hub.

    Raises:
        RequestError: not on the hub, or without safetensors weights.
    """
    from huggingface_hub import hf_hub_download

    import_open_clip()
    said = ""
    for weights in HUB_WEIGHTS:
        try:
            hf_hub_download(name, CONFIG, revision=config.revision)
            folder = Path(hf_hub_download(name, weights, revision=config.revision)).parent
        except (OSError, ValueError) as e:
            said = str(e).splitlines()[0]
            continue
        return load_folder(folder, config, fingerprint)
    raise RequestError(
        f"model: expected {name} to be on the hub, owner/name, with {CONFIG} and {HUB_WEIGHTS[0]}; asking "
        f"for it said: {said}"
    )
