"""Zero-shot: the initial model as it is, its head made of class names by its text tower."""

from __future__ import annotations

from tether.methods.method import Method
from tether.tune import nothing


def zero_shot() -> Method:
    """Nothing is trained and no label is seen (METHODS 1.2, `zs`, and 6); needs a text tower."""
    return Method(tuning=nothing(), start="zero_shot")
