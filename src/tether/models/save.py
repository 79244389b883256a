"""A finished model in its own library's format, and its adapter in peft's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import save_file

from tether.errors import RequestError
from tether.files import atomic
from tether.models.extras import has_extras, write_extras
from tether.models.head_file import head_tensors, write_head
from tether.models.heads import LinearHead
from tether.models.model import MAIN, Model
from tether.models.peft_layers import in_peft_terms
from tether.models.prompts import prompts_of


@runtime_checkable
class SavesNetwork(Protocol):
    """A backbone that can be written without a head, which then lies in a file beside it."""

    def save_network(self, folder: Path) -> None:
        """Write the network alone, in its library's format."""
        ...


def main_head(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """Plain weight (C, D) and bias (C,) of the head that predicts, on the host."""
    head = model.heads[MAIN]
    if not isinstance(head, LinearHead):
        raise RequestError(
            f"expected a linear head, got {type(head).__name__}; it has no plain weights to save"
        )
    weight, bias = head.folded()
    return weight.cpu(), bias.cpu()


def save_model(model: Model, folder: Path) -> None:
    """Write `folder` whole, loadable without tether; adapters must have been merged.

    A head that is no linear layer (zero-shot, map) lies in `head.safetensors` beside the network
    (`head_file`), as no library has a class that would hold it. So does any head of a network with prompts
    (`prompts`): the library's own class would run it, without them and wrongly. And so does the main head of
    a model with several: the others read the same features, which that class may compute in another way.
    """
    head, prompts = model.heads[MAIN], prompts_of(model.backbone)
    beside = prompts is not None or not isinstance(head, LinearHead) or has_extras(model)
    with atomic(folder) as part:
        part.mkdir()
        if beside and isinstance(model.backbone, SavesNetwork):
            model.backbone.save_network(part)
            write_head(part, head, model.classes, pooling=getattr(model.backbone, "pooling", "auto"))
            if prompts is not None:
                prompts.write(part)
        elif prompts is not None:
            raise RequestError(
                f"expected a backbone with save_network, which can be written without its head, got "
                f"{type(model.backbone).__name__}; prompts need one to be saved with"
            )
        else:
            weight, bias = main_head(model)
            model.backbone.save(part, weight, bias, model.classes)
        if has_extras(model):
            write_extras(part, model)


def save_adapter(model: Model, folder: Path, source: str) -> None:
    """Write the peft adapter with the head beside it.

    `peft.PeftModel.from_pretrained(base, folder)` loads it on the base network; `head.safetensors` holds
    the head, a linear one as `weight` (C, D) and `bias` (C,) on the pooled features.
    """
    network: Any = model.backbone.network
    kind, tensors = head_tensors(model.heads[MAIN])
    with atomic(folder) as part:
        network.peft_config["default"].base_model_name_or_path = source
        # No look at a hub for the base vocabulary: embeddings are never adapted here.
        with in_peft_terms(network):
            network.save_pretrained(part, save_embedding_layers=False)
        (part / "README.md").unlink(missing_ok=True)  # peft's card is a template of blanks
        save_file(tensors, part / "head.safetensors")
        (part / "README.md").write_text(
            _adapter_note(source, model.classes, kind, list(tensors)), encoding="utf-8"
        )


def _adapter_note(source: str, classes: Sequence[str], kind: str, tensors: Sequence[str]) -> str:
    named = ", ".join(f"`{t}`" for t in tensors)
    return (
        f"# Adapter on {source}\n\n"
        "Load it with `peft.PeftModel.from_pretrained(base, folder)`, where `base` is that model's network.\n"
        f"`head.safetensors` holds the {kind.replace('_', '-')} head ({named}) on the pooled features; "
        f"classes in order: {', '.join(classes)}.\n"
    )
