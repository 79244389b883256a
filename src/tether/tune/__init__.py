"""What trains: everything, heads, the last blocks, LoRA."""

from tether.tune.drift import squared_adapters, squared_distance, squared_heads
from tether.tune.last_blocks import last_blocks
from tether.tune.lora import lora
from tether.tune.tuning import Groups, Tuning, full, heads, nothing

__all__ = [
    "Groups",
    "Tuning",
    "full",
    "heads",
    "last_blocks",
    "lora",
    "nothing",
    "squared_adapters",
    "squared_distance",
    "squared_heads",
]
