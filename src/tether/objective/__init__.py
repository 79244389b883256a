"""Losses as functions of lazily computed forwards."""

from tether.objective.activation_norm import act_l2
from tether.objective.consistency import consistency
from tether.objective.contrastive import contrastive, info_nce
from tether.objective.divergences import cross_entropy, distillation, jensen_shannon, kl
from tether.objective.features import feature_distance, nmse
from tether.objective.forwards import CLEAN, Forwards, Runner, Weights
from tether.objective.plan import Plan
from tether.objective.rar import rar
from tether.objective.robustness import gate, robust
from tether.objective.soft_labels import self_distilled
from tether.objective.start import near_start, small_head
from tether.objective.step_forwards import StepForwards
from tether.objective.terms import Term, activation, ce, features, jsd, kd
from tether.objective.total import Total, evaluate_terms, numbers

__all__ = [
    "CLEAN",
    "Forwards",
    "Plan",
    "Runner",
    "StepForwards",
    "Term",
    "Total",
    "Weights",
    "act_l2",
    "activation",
    "ce",
    "consistency",
    "contrastive",
    "cross_entropy",
    "distillation",
    "evaluate_terms",
    "feature_distance",
    "features",
    "gate",
    "info_nce",
    "jensen_shannon",
    "jsd",
    "kd",
    "kl",
    "near_start",
    "nmse",
    "numbers",
    "rar",
    "robust",
    "self_distilled",
    "small_head",
]
