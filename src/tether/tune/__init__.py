"""What trains: everything, heads, LoRA and its variants, prompts, both towers."""

from tether.tune.lora import lora
from tether.tune.prompts import prompts
from tether.tune.towers import towers, with_contexts
from tether.tune.tuning import Groups, Tuning, full, heads, nothing
from tether.tune.variants import Variant

__all__ = [
    "Groups",
    "Tuning",
    "Variant",
    "full",
    "heads",
    "lora",
    "nothing",
    "prompts",
    "towers",
    "with_contexts",
]
