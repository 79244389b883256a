"""What a model has beside one head: further heads and dropout, in files beside the network.

`heads.safetensors` has the tensors, `<head>/head/...` and `<head>/section/...`; `heads.json` says what each
head is, from which block on it has the network for itself, and where dropout acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tether.errors import RequestError
from tether.files import read_json, write_json
from tether.models.backbone import Backbone
from tether.models.branch import Branch
from tether.models.dropout import install
from tether.models.head_file import head_from, head_tensors
from tether.models.model import MAIN, Model

WEIGHTS, ABOUT = "heads.safetensors", "heads.json"


@dataclass(frozen=True)
class Extras:
    """Further heads by name; dropout's rate and first block, if there is dropout."""

    heads: Mapping[str, nn.Module]
    dropout: tuple[float, int] | None

    def over(self, make: Callable[[], nn.Module]) -> Extras:
        """The same sections under other heads, for other classes; a head without a section is remade."""
        return Extras(
            {n: h.over(make()) if isinstance(h, Branch) else make() for n, h in self.heads.items()},
            self.dropout,
        )


def has_extras(model: Model) -> bool:
    """Whether the model is more than a network and its main head."""
    return bool(_further(model)) or model.dropout is not None


def _further(model: Model) -> dict[str, nn.Module]:
    return {n: h for n, h in model.heads.items() if n != MAIN and n not in model.unsaved}


def write_extras(folder: Path, model: Model) -> None:
    """Write both files into an existing folder."""
    tensors: dict[str, Tensor] = {}
    about: dict[str, Any] = {}
    for name, head in _further(model).items():
        branch = head if isinstance(head, Branch) else None
        kind, own = head_tensors(head if branch is None else branch.head)
        tensors |= {f"{name}/head/{n}": t for n, t in own.items()}
        about[name] = {"head": kind, "above": None if branch is None else branch.above}
        if branch is not None:
            section = {f"{name}/section/{n}": t for n, t in branch.section.items()}
            tensors |= {n: t.detach().cpu().contiguous() for n, t in section.items()}
    save_file(tensors, folder / WEIGHTS)
    dropout = model.dropout
    write_json(
        folder / ABOUT,
        {"heads": about, "dropout": None if dropout is None else {"p": dropout.p, "start": dropout.start}},
    )


def read_extras(folder: Path) -> Extras | None:
    """Read them back; None when the folder has none.

    Raises:
        RequestError: the weights are missing or do not fit.
    """
    if not (folder / ABOUT).is_file():
        return None
    about: dict[str, Any] = read_json(folder / ABOUT)
    if not (folder / WEIGHTS).is_file():
        raise RequestError(
            f"expected {folder / WEIGHTS} beside {ABOUT}, but there is none; save the model again"
        )
    state = load_file(folder / WEIGHTS)

    def part(prefix: str) -> dict[str, Any]:
        return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}

    heads: dict[str, nn.Module] = {}
    for name, said in about["heads"].items():
        head = head_from(said["head"], part(f"{name}/head/"), folder / WEIGHTS)
        section = {n.replace("/", "."): t for n, t in part(f"{name}/section/").items()}
        heads[name] = head if said["above"] is None else Branch(head, int(said["above"]), section)
    dropout = about["dropout"]
    return Extras(heads, None if dropout is None else (float(dropout["p"]), int(dropout["start"])))


def assemble(backbone: Backbone, head: nn.Module, classes: tuple[str, ...], extras: Extras | None) -> Model:
    """The model of a network, its main head, and what else was saved with it."""
    if extras is None:
        return Model(backbone, {MAIN: head}, classes)
    model = Model(backbone, {MAIN: head, **extras.heads}, classes)
    if extras.dropout is not None:
        model.dropout = install(backbone, model.heads, *extras.dropout)
    return model
