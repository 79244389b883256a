"""Plain fine-tuning: the usual baseline, and the reference of every gap reduction."""

from __future__ import annotations

from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def finetune() -> Method:
    """All weights and a random head, cross-entropy (METHODS 6, `ft`)."""
    return Method(tuning=full(), terms=(ce(),), start="random")
