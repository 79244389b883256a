"""Penalties on the weights themselves: towards their start, and a small head (L2-SP)."""

from __future__ import annotations

from torch import Tensor

from tether.objective.forwards import Forwards
from tether.objective.terms import Term
from tether.tune import squared_distance, squared_heads


def near_start(weight: float = 0.1, name: str = "near_start") -> Term:
    """1/2 ||w - w_0||^2 over the trained backbone, with LoRA 1/2 ||s B A||^2 (METHODS 6, `l2_sp`)."""

    def loss(f: Forwards) -> Tensor:
        weights = f.weights()
        return 0.5 * squared_distance(weights.model, weights.start)

    return Term(name, loss, weight, of="weights")


def small_head(weight: float = 0.01, name: str = "small_head") -> Term:
    """1/2 ||w_head||^2 over the heads' weight matrices (METHODS 6, `l2_sp`)."""
    return Term(name, lambda f: 0.5 * squared_heads(f.weights().model), weight, of="weights")
