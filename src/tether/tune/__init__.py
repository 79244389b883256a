"""What trains: everything, heads, LoRA."""

from tether.tune.lora import lora
from tether.tune.tuning import Groups, Tuning, full, heads, nothing

__all__ = ["Groups", "Tuning", "full", "heads", "lora", "nothing"]
