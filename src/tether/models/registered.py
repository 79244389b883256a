"""Models that the user's own code makes, by name: registered in Python, or found through an entry point."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from torch import nn

from tether import plugins
from tether.errors import RequestError
from tether.models.backbone import Backbone

GROUP = "tether.models"
MakeBackbone = Callable[[], Backbone]

_registered: dict[str, MakeBackbone] = {}


def register_model(name: str, make: MakeBackbone) -> None:
    """Let configs say `model: NAME`.

    Args:
        name: must not be a path or a hub name.
        make: gives a fresh backbone with the same pretrained weights each time; a run asks more than once,
            because a fully tuned teacher needs weights of its own. `tether.wrap` makes one of any module.

    Raises:
        RequestError: a name that reads as a path or a hub name.

    Example:
        >>> import tether
        >>> tether.register_model("mine", lambda: tether.wrap(my_network(), width=512))  # doctest: +SKIP
        >>> tether.compare({"model": "mine", "data": "digits"})  # doctest: +SKIP
    """
    if "/" in name or name.startswith((".", "~")) or not name:
        raise RequestError(f"register_model: expected a plain name such as 'mine', got {name!r}")
    _registered[name] = make


def names() -> list[str]:
    """Registered names and those of entry points."""
    return sorted({*_registered, *plugins.names(GROUP)})


def find(name: str) -> MakeBackbone | None:
    """The maker of that name, or None.

    Raises:
        RequestError: when its entry point does not import.
    """
    if name in _registered:
        return _registered[name]
    found: MakeBackbone | None = plugins.find(GROUP, name, "model")
    return found


def weights_hash(network: nn.Module) -> str:
    """Hash of every weight and its name; caches hang on it."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:16]
