"""What trains: everything, heads, the last blocks, LoRA and its variants, prompts, both towers."""

from tether.tune.drift import squared_adapters, squared_distance, squared_heads
from tether.tune.lora import lora
from tether.tune.prompts import prompts
from tether.tune.tail import tail
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
    "squared_adapters",
    "squared_distance",
    "squared_heads",
    "tail",
    "towers",
    "with_contexts",
]
