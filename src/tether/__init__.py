"""Tether fine-tunes a foundation model without letting it drift from the robustness it came with.

Example:
    >>> import tether
    >>> result = tether.train("digits", method="rdft", seed=0)  # doctest: +SKIP
    >>> page = tether.compare("digits", methods=["finetune", "rdft"], seeds=1).report()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tether.batch import Batch, Output
    from tether.errors import RequestError
    from tether.grid import compare
    from tether.inference import load, predict
    from tether.methods import Method
    from tether.models.registered import register_model
    from tether.models.wrap import wrap
    from tether.other_tasks import transfer
    from tether.robustness import evaluate_models
    from tether.run import train
    from tether.untrained import evaluate

_WHERE = {
    "Batch": "tether.batch",
    "Method": "tether.methods",
    "Output": "tether.batch",
    "RequestError": "tether.errors",
    "compare": "tether.grid",
    "evaluate": "tether.untrained",
    "evaluate_models": "tether.robustness",
    "load": "tether.inference",
    "predict": "tether.inference",
    "register_model": "tether.models.registered",
    "train": "tether.run",
    "transfer": "tether.other_tasks",
    "wrap": "tether.models.wrap",
}

__all__ = [
    "Batch",
    "Method",
    "Output",
    "RequestError",
    "compare",
    "evaluate",
    "evaluate_models",
    "load",
    "predict",
    "register_model",
    "train",
    "transfer",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `tether --help` does not wait for torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'tether' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
