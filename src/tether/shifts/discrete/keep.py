"""Networks trained on the user's pictures once, kept in the cache, and found again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tether.data import Examples
from tether.data.once import once
from tether.errors import RequestError
from tether.files import cache_dir, read_json, write_json
from tether.progress import say
from tether.shifts.discrete.fit import Schedule, train_ae, train_vq
from tether.shifts.discrete.kmeans import CENTROIDS, PatchKmeans, fit_kmeans
from tether.shifts.discrete.networks import Autoencoder, VqAutoencoder, blank
from tether.shifts.discrete.pictures import check_pictures, content_of, parted
from tether.shifts.discrete.quality import count_use, measured
from tether.shifts.discrete.quantiser import state_hash

Kind = Literal["vq", "patch_kmeans", "ae"]
Network = VqAutoencoder | PatchKmeans | Autoencoder
_RECIPE = 1  # raised when training changes, so that older weights in the cache are not found
_ABOUT, _WEIGHTS = "about.json", "weights.safetensors"


@dataclass(frozen=True)
class Kept:
    """A network and where it lies.

    Attributes:
        network: in eval mode, frozen, with its `key`.
        about: what it was made from and its quality, the content of about.json.
        folder: with weights.safetensors and about.json; the option `weights` of a shift takes it.
    """

    network: Network
    about: Mapping[str, Any]
    folder: Path


def kept(kind: Kind, examples: Examples, schedule: Schedule, device: torch.device, asked_by: str) -> Kept:
    """The network trained on these pictures, from the cache or made now, once among processes.

    Args:
        kind: "vq", "patch_kmeans", or "ae" for the autoencoder without a codebook.
        examples: training pictures.
        schedule: how it is trained; of it patch_kmeans reads only the seed.
        device: where it is trained and returned.
        asked_by: who needs it, for messages.

    Raises:
        RequestError: texts, or fewer than 4 pictures.
    """
    check_pictures(examples, asked_by)
    options = asdict(schedule) if kind != "patch_kmeans" else {"seed": schedule.seed, "codes": CENTROIDS}
    parts = {"recipe": _RECIPE, "kind": kind, "pictures": content_of(examples), **options}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache_dir() / "autoencoders" / f"{kind}-{key}"

    def build(part: Path) -> None:
        say(f"{asked_by}: {_NAMES[kind]} is made from {len(examples)} training pictures, once")
        began = time.monotonic()
        network, quality = _made(kind, examples, schedule, device)
        quality["seconds"] = round(time.monotonic() - began, 1)
        save(network, part, {**parts, "quality": quality})

    once(folder, build, lambda f: (f / _ABOUT).is_file() and (f / _WEIGHTS).is_file())
    return load(folder, kind, device)


def save(network: Network, folder: Path, about: Mapping[str, Any]) -> None:
    """Write weights.safetensors and about.json."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / _WEIGHTS)
    write_json(folder / _ABOUT, about)


def load(folder: Path, kind: Kind, device: torch.device) -> Kept:
    """Read what `save` wrote.

    Raises:
        RequestError: no such folder, another kind, or damaged weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    about = read_json(folder / _ABOUT)
    if about.get("kind") != kind:
        found = _NAMES.get(about.get("kind"), "something else")
        raise RequestError(
            f"weights: expected {_NAMES[kind]}, {folder} holds {found}; "
            f"make one with `tether shifts train-vq CONFIG --backend {kind}`"
        )
    try:
        state = load_file(folder / _WEIGHTS)
        network = _empty(kind, about, state)
        network.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError, KeyError) as e:
        raise RequestError(
            f"weights: {folder} is damaged ({type(e).__name__}); remove it and run the command again"
        ) from e
    network.eval().requires_grad_(False)
    network.key = state_hash(state)
    return Kept(network.to(device), about, folder)


_NAMES: Mapping[Any, str] = {
    "vq": "a VQ autoencoder",
    "patch_kmeans": "a patch k-means",
    "ae": "an autoencoder",
}


def _made(
    kind: Kind, examples: Examples, schedule: Schedule, device: torch.device
) -> tuple[Network, dict[str, Any]]:
    train, kept_out = parted(examples)
    if kind == "ae":
        plain = train_ae(train, schedule, device)
        return plain, measured(plain, train, kept_out, device).as_dict()
    quantiser = (
        train_vq(train, schedule, device)
        if kind == "vq"
        else fit_kmeans(train, CENTROIDS, schedule.seed).to(device)
    )
    count_use(quantiser, train, device)
    quality = measured(lambda x: quantiser.quantise(x)[0], train, kept_out, device, quantiser.usage)
    return quantiser, quality.as_dict()


def _empty(kind: Kind, about: Mapping[str, Any], state: Mapping[str, Tensor]) -> Network:
    if kind == "patch_kmeans":
        return PatchKmeans(len(state["centroids"]))  # fewer than asked for where pictures hold fewer patches
    if kind == "vq":
        return blank(lambda: VqAutoencoder(about["width"], about["dim"], about["codes"]))
    return blank(lambda: Autoencoder(about["width"], about["dim"]))
