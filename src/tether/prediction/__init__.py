"""From a model and a batch to probabilities: one head, or a head selected for each sample."""

from tether.prediction.rule import Predict, softmax_main
from tether.prediction.saved import attach, rule_of, write_rule
from tether.prediction.selection import select_head

__all__ = ["Predict", "attach", "rule_of", "select_head", "softmax_main", "write_rule"]
