"""VPT: prompts beside a frozen transformer's tokens, and the head (Jia et al. 2022)."""

from __future__ import annotations

from tether import tune
from tether.errors import RequestError
from tether.methods.method import Method
from tether.objective import ce
from tether.tune.prompts import LR


def vpt(count: int = 10, deep: bool = True, dropout: float = 0.1, lr: float = LR) -> Method:
    """Cross-entropy over learnable tokens after the class token, and the head (METHODS 6, `vpt`).

    Departures: AdamW at `lr` instead of SGD at a rate out of ten, a head that starts from the linear probe,
    and texts too. Prompts cannot be merged into weights: the run's model is the untouched network with
    `prompts.safetensors` beside it, which tether reads back.

    Args:
        count: p, tokens.
        deep: fresh prompts at each block (VPT-deep); false puts them in at the first alone (VPT-shallow).
        dropout: on the prompts.
        lr: of the prompts; METHODS advises a grid of four, chosen on validation.
    """
    if count < 1:
        raise RequestError(f"method.count: expected at least 1 prompt, got {count}; 10 is the default")
    return Method(tuning=tune.prompts(count, deep, dropout, lr), terms=(ce(),))
