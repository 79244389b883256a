"""A head in a file of its own: for networks whose library has no class that could hold it.

`head.safetensors` has the head's tensors under their own names, `tether.json` says which kind they are.
A linear head is `features @ weight.T + bias`; what the features are, `tether.json` says too (`pooling`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tether.errors import RequestError, nearest
from tether.files import read_json, write_json
from tether.models.heads import LinearHead, linear_head
from tether.models.map_head import MapHead
from tether.models.text_tower import TextHead
from tether.models.zero_shot import ZeroShotHead

WEIGHTS, ABOUT = "head.safetensors", "tether.json"


@dataclass(frozen=True)
class SavedHead:
    """A head that was read back, its classes, and what else the folder says about the model."""

    head: nn.Module
    classes: tuple[str, ...]
    about: Mapping[str, Any]


def head_tensors(head: nn.Module) -> tuple[str, dict[str, Tensor]]:
    """The head's kind and its tensors on the host.

    A linear head comes plain, its statistics folded in; a text tower's with its class weights written down.
    """
    head = head.folded() if isinstance(head, TextHead) else head
    kinds = [kind for kind, (made, _) in KINDS.items() if isinstance(head, made)]
    if not kinds:
        raise RequestError(
            f"expected a head that can be saved ({', '.join(KINDS)}), got {type(head).__name__}"
        )
    state = dict(head.state_dict())
    if isinstance(head, LinearHead):
        weight, bias = head.folded()
        state = {"weight": weight, "bias": bias}
    return kinds[0], {k: v.detach().cpu().contiguous() for k, v in state.items()}


def write_head(folder: Path, head: nn.Module, classes: Sequence[str], **about: Any) -> None:
    """Write `head.safetensors` and `tether.json` into an existing folder."""
    kind, tensors = head_tensors(head)
    save_file(tensors, folder / WEIGHTS)
    write_json(folder / ABOUT, {"head": kind, "classes": list(classes), **about})


def read_head(folder: Path) -> SavedHead | None:
    """Read them back; None when the folder has none.

    Raises:
        RequestError: a kind this version does not know, or tensors that do not fit it.
    """
    if not (folder / ABOUT).is_file():
        return None
    about: dict[str, Any] = read_json(folder / ABOUT)
    kind = str(about.get("head"))
    _known(kind, folder / ABOUT)
    if not (folder / WEIGHTS).is_file():
        raise RequestError(
            f"expected {folder / WEIGHTS} beside {ABOUT}, but there is none; save the model again"
        )
    head = head_from(kind, load_file(folder / WEIGHTS), folder / WEIGHTS)
    return SavedHead(head, tuple(about["classes"]), about)


def head_from(kind: str, tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    """A head of that kind from its tensors; `path`, where they lie, is for the message.

    Raises:
        RequestError: a kind this version does not know, or tensors that do not fit it.
    """
    _known(kind, path)
    try:
        return KINDS[kind][1](tensors)
    except KeyError as e:
        raise RequestError(f"{path}: expected the tensors of a {kind} head, {e} is missing") from e


def _known(kind: str, path: Path) -> None:
    if kind not in KINDS:
        raise RequestError(f"{path}: unknown head {kind!r}; {nearest(kind, KINDS)}")


KINDS: Mapping[str, tuple[type[nn.Module], Callable[[Mapping[str, Tensor]], nn.Module]]] = {
    "linear": (LinearHead, lambda s: linear_head(s["weight"], s["bias"])),
    "zero_shot": (ZeroShotHead, lambda s: ZeroShotHead(s["weight"], float(s["log_scale"]), float(s["bias"]))),
    "map": (MapHead, lambda s: MapHead(s["weight"], s["bias"], s["member"])),
}
