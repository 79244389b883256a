"""Any torch module as a backbone: `tether.wrap`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError
from tether.models import rates
from tether.models.backbone import Encoded, Rate, capture, depth_fractions, feature_device
from tether.models.discover import find_blocks, is_convolutional
from tether.models.extras import assemble, read_extras
from tether.models.head_file import read_head, write_head
from tether.models.heads import linear_head
from tether.models.model import Model

Read = Callable[[Batch], Tensor]
Features = Callable[[nn.Module, Tensor], Tensor]
WEIGHTS = "model.safetensors"


class WrappedModule(nn.Module):
    """A user's module; made by `wrap`, which explains the arguments."""

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(
        self, module: nn.Module, width: int, blocks: Sequence[nn.Module], features: Features, read: Read
    ) -> None:
        super().__init__()
        self.network = module
        self.width = width
        self.family = f"wrapped-{type(module).__name__}"
        self.rates = rates.CONVOLUTIONAL if is_convolutional(blocks) else rates.IMAGE
        self._blocks = list(blocks)
        self._features = features
        self._read = read

    def embed(self, batch: Batch) -> Batch:
        """A raw batch to the module's input."""
        if batch.space == self.family:
            return batch
        x = self._read(batch.to(feature_device(self.network)))
        return Batch(x, batch.y, batch.ids, batch.group, space=self.family)

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features (B, D) and block outputs."""
        x = self.embed(batch).x
        assert isinstance(x, Tensor)
        with capture(self._blocks, hidden) as found:
            features = self._features(self.network, x)
        if features.dim() != 2 or features.shape[1] != self.width:
            raise RequestError(
                f"tether.wrap: expected features of shape (B, {self.width}), got {tuple(features.shape)}; "
                "give their width, or a function that makes them: features=lambda module, x: ..."
            )
        return Encoded(features, found)

    def blocks(self) -> Sequence[nn.Module]:
        """The blocks it was wrapped with."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Blocks at depths 1/4, 1/2, 3/4 and 1."""
        return depth_fractions(len(self._blocks))

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """The module's state dict in `model.safetensors`, the head in `head.safetensors` (see `reload`)."""
        self.save_network(folder)
        write_head(folder, linear_head(weight, bias), classes, module=type(self.network).__name__)

    def save_network(self, folder: Path) -> None:
        """The module's state dict in `model.safetensors`; its code stays the user's."""
        from safetensors.torch import save_file

        # Clones: safetensors refuses tensors that share memory, such as tied weights.
        state = {k: v.detach().cpu().contiguous().clone() for k, v in self.network.state_dict().items()}
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def wrap(
    module: nn.Module,
    width: int,
    blocks: Sequence[nn.Module] | None = None,
    features: Features | None = None,
    normalise: tuple[Sequence[float], Sequence[float]] | None = None,
    read: Read | None = None,
) -> WrappedModule:
    """A plain torch module as a backbone.

    Args:
        module: any network; it is changed in place by tunings that add parts, and runs in eval mode.
        width: D of its pooled features.
        blocks: its blocks, input to output, for LoRA and feature terms; None finds them.
        features: (module, input) -> (B, D); None calls the module. Reach submodules through the argument,
            not through a variable of yours: a tuning may have replaced them.
        normalise: mean and standard deviation of each colour, in [0, 1] units; pixels come in [0, 1].
        read: a raw batch to the module's input, for anything but pictures (token ids of texts, say).

    Raises:
        RequestError: no blocks were found; a width below 1; both normalise and read.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 8), nn.Tanh()))
        >>> wrap(net, width=8, blocks=[net[1]], normalise=((0.5,) * 3, (0.5,) * 3)).width
        8
    """
    if width < 1:
        raise RequestError(f"tether.wrap: expected the width of the features, got {width}")
    if normalise is not None and read is not None:
        raise RequestError("tether.wrap: expected normalise or read, got both; with read, normalise in there")
    found = find_blocks(module) if blocks is None else list(blocks)
    inside = {id(m) for m in module.modules()}
    if not found or any(id(b) not in inside for b in found):
        raise RequestError("tether.wrap: expected blocks that are parts of the module, input to output")
    return WrappedModule(
        module.eval(), width, found, features or (lambda m, x: m(x)), read or _pictures(normalise)
    )


def _pictures(normalise: tuple[Sequence[float], Sequence[float]] | None) -> Read:
    mean, std = normalise if normalise is not None else ((0.0,), (1.0,))

    def read(batch: Batch) -> Tensor:
        x = batch.x
        if not isinstance(x, Tensor):
            raise RequestError("model: the wrapped module expects pictures, got texts; wrap it with read=...")
        shift, scale = (torch.tensor(tuple(v), device=x.device).view(1, -1, 1, 1) for v in (mean, std))
        return (x - shift) / scale

    return read


def reload(folder: str | Path, backbone: WrappedModule) -> Model:
    """A model saved from a wrapped module, given the module wrapped again.

    Raises:
        RequestError: the folder holds no such model, or one of another module.

    Example:
        >>> model = reload("runs/mine/model", wrap(MyNet(), width=64))  # doctest: +SKIP
    """
    from safetensors.torch import load_file

    where = Path(folder)
    saved = read_head(where)
    if saved is None or not (where / WEIGHTS).is_file():
        raise RequestError(
            f"expected {where} to hold a saved wrapped module ({WEIGHTS} and a head), it does not"
        )
    try:
        backbone.network.load_state_dict(load_file(where / WEIGHTS))
    except RuntimeError as e:
        raise RequestError(
            f"{where}: its weights do not fit this {type(backbone.network).__name__}: "
            f"{str(e).splitlines()[-1]}"
        ) from e
    return assemble(backbone, saved.head, saved.classes, read_extras(where)).eval()
