"""What trains: everything, heads, the upper blocks, LoRA."""

from tether.tune.lora import lora
from tether.tune.tail import tail
from tether.tune.tuning import Groups, Tuning, full, heads, nothing

__all__ = ["Groups", "Tuning", "full", "heads", "lora", "nothing", "tail"]
