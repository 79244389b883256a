"""The packaged EfficientNet-Lite0, ImageNet-1k, from the efficientnet-lite-pytorch library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError
from tether.files import write_json
from tether.models.backbone import Encoded, Rate, capture, feature_device

ARCHITECTURE = "efficientnet-lite0"
MEAN, STD = 0.498, 0.502  # (x*255 - 127) / 128, as the weights were trained

# Chosen on ID validation of `digits` (docs/results): convolutional features of 4.6 M parameters move well at
# rates above the 1e-5 that METHODS 1.3 gives for large vision transformers.
RATES: Mapping[str, Rate] = {
    "backbone": Rate(3e-4, 0.01),
    "adapter": Rate(4e-3),
    "head": Rate(1e-3, 1e-4),
}

# Last blocks at strides 4, 8, 16 and 32: the stage outputs that METHODS 1.5 asks of a CNN.
STAGE_ENDS = (2, 4, 10, 15)


class EfficientNetBackbone(nn.Module):
    """EfficientNet-Lite0 with features pooled over space, (B, 1280).

    Args:
        network: the library's module; its own classifier is taken off.

    Example:
        >>> backbone = EfficientNetBackbone(build(classes=10))  # doctest: +SKIP
        >>> backbone.width  # doctest: +SKIP
        1280
    """

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.width = int(network._fc.in_features)
        network._fc = nn.Identity()  # its place is taken by a head; it must not train or count
        self.family = "efficientnet-lite-pixels"
        self.rates = RATES
        self._blocks: list[nn.Module] = list(network._blocks)

    def embed(self, batch: Batch) -> Batch:
        """Pixels (B, 3, H, W) in [0, 1] to normalised pixels."""
        if batch.space == self.family:
            return batch
        if not isinstance(batch.x, Tensor):
            raise RequestError(
                f"model: {ARCHITECTURE} expects pictures, got texts; choose a text model or another data set"
            )
        x = (batch.x.to(feature_device(self.network)) - MEAN) / STD
        # Channels last: on two CPU cores a training step takes 0.6 to 0.7 of the time (depthwise layers).
        x = x.contiguous(memory_format=torch.channels_last)
        return Batch(x=x, y=batch.y, ids=batch.ids, group=batch.group, space=self.family)

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features (B, 1280) and block outputs (B, C, H, W)."""
        with capture(self._blocks, hidden) as found:
            maps = self.network.extract_features(self.embed(batch).x)  # type: ignore[operator]
        return Encoded(maps.mean((2, 3)), found)

    def blocks(self) -> Sequence[nn.Module]:
        """The 16 inverted-bottleneck blocks."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """The stage outputs."""
        return STAGE_ENDS

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """`config.json` and `model.safetensors` under the library's own parameter names.

        Without tether: `EfficientNet.from_name("efficientnet-lite0", num_classes=C)` and
        `load_state_dict(safetensors.torch.load_file(...))`.
        """
        from safetensors.torch import save_file

        network: Any = self.network
        state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
        state["_fc.weight"], state["_fc.bias"] = weight.cpu().contiguous(), bias.cpu().contiguous()
        folder.mkdir(parents=True, exist_ok=True)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        write_json(
            folder / "config.json",
            {
                "architecture": ARCHITECTURE,
                "library": "efficientnet-lite-pytorch",
                "num_classes": len(classes),
                "classes": list(classes),
                "mean": MEAN,
                "std": STD,
            },
        )


def build(classes: int, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """The library's network with its quirks taken out.

    Stochastic depth is switched off (the base never drops anything here), and the 1x1 convolutions, for which
    the library's padded convolution pads nothing, become plain `nn.Conv2d` under the same parameter names, so
    that peft can put LoRA on them.

    Raises:
        RequestError: when the library is not installed.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as e:
        raise RequestError(
            f"the model {ARCHITECTURE} needs the extra `bench`; install it with: pip install 'tether[bench]'"
        ) from e
    network: nn.Module = EfficientNet.from_name(ARCHITECTURE, num_classes=classes)
    params: Any = network._global_params
    network._global_params = params._replace(drop_connect_rate=None)
    if weights is not None:
        network.load_state_dict(dict(weights))
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                setattr(parent, name, _plain(child))
    return network.eval()


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    plain = nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=conv.bias is not None)
    with torch.no_grad():
        plain.weight.copy_(conv.weight)
        if conv.bias is not None and plain.bias is not None:
            plain.bias.copy_(conv.bias)
    return plain
