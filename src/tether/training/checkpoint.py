"""A checkpoint is one safetensors file, written whole or not at all: trained weights and optimiser state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tether.errors import RequestError
from tether.files import atomic

NAME = "last.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Progressed:
    """How far a run is.

    Attributes:
        step: steps done.
        seconds: spent on them.
        fingerprint: of the config.
        notes: JSON of what else a resumed run needs: controllers, early stopping.
        ended: training was stopped early; no step follows.
    """

    step: int
    seconds: float
    fingerprint: str
    notes: str = ""
    ended: bool = False


def save(
    folder: Path,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    at: Progressed,
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the state after `at.step` steps over the last checkpoint, atomically.

    Random state is not kept: every step seeds its own (see `fit`).

    Args:
        extra: tensors of whatever accompanies the training, such as a running average.
    """
    tensors = {f"extra/{name}": value.detach().cpu().contiguous() for name, value in (extra or {}).items()}
    for name, parameter in parameters.items():
        tensors[f"value/{name}"] = parameter.detach().cpu().contiguous()
        for moment in _MOMENTS:
            if moment in optimizer.state.get(parameter, {}):
                tensors[f"{moment}/{name}"] = optimizer.state[parameter][moment].detach().cpu().contiguous()
    with atomic(folder / NAME) as part:
        save_file(tensors, part, metadata={"tether": json.dumps(asdict(at))})


def restore(
    folder: Path,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    fingerprint: str,
) -> tuple[Progressed, dict[str, Tensor]] | None:
    """Load the last checkpoint into the parameters and the optimiser; None when there is none.

    Returns:
        How far the run is, and the extra tensors that were saved.

    Raises:
        RequestError: when it belongs to another config, or does not fit the model, or is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    mend = f"Remove {folder.parent} to start over, or choose another output."
    try:
        with safe_open(path, framework="pt") as f:
            at = Progressed(**json.loads(f.metadata()["tether"]))
            if at.fingerprint != fingerprint:
                raise RequestError(
                    f"the checkpoint {path} was made from another config (its fingerprint {at.fingerprint}, "
                    f"this request's {fingerprint}). {mend}"
                )
            names = set(f.keys())
            wanted = {f"value/{name}" for name in parameters}
            if wanted != {n for n in names if n.startswith("value/")}:
                raise RequestError(f"the checkpoint {path} holds other parameters than this model. {mend}")
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(f.get_tensor(f"value/{name}"))
                    state = {m: f.get_tensor(f"{m}/{name}") for m in _MOMENTS if f"{m}/{name}" in names}
                    if state:
                        # The fused AdamW keeps its step count beside the parameter, as its moments.
                        optimizer.state[parameter] = {m: t.to(parameter.device) for m, t in state.items()}
            extra = {n.removeprefix("extra/"): f.get_tensor(n) for n in names if n.startswith("extra/")}
    except (SafetensorError, KeyError, ValueError) as e:
        raise RequestError(f"the checkpoint {path} cannot be read ({e}). {mend}") from e
    return at, extra
