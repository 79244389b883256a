"""Whether a shift reaches the model at all: an uncased tokenizer does not see capitals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tether.batch import Batch
from tether.shifts.draws import Draws
from tether.shifts.shift import Shift

_SEEDS = 4


def share_changed(
    shift: Shift,
    texts: Sequence[str],
    tokenize: Callable[[str], Any] | None = None,
    severity: int = 5,
    seed: int = 0,
) -> float:
    """How many of the texts differ after a shift, as the model reads them.

    Args:
        shift: of texts.
        texts: a sample of the user's own; a few hundred tell enough.
        tokenize: a text's tokens or their ids, anything that `==` compares; None compares the strings.
        severity: 1 to 5.
        seed: of the draws.

    Returns:
        A share between 0 and 1; 0 for no texts.

    Example:
        >>> share_changed(get("case"), ["A Film"], tokenize=str.lower)
        0.0
    """
    if not texts:
        return 0.0
    batch = Batch(tuple(texts), torch.zeros(len(texts), dtype=torch.long), torch.arange(len(texts)))
    out = shift(batch, severity, Draws(seed)).x
    read = tokenize if tokenize is not None else str
    pairs = [(old, str(new)) for old, new in zip(texts, out, strict=True)]
    changed = [old != new and bool(read(old) != read(new)) for old, new in pairs]
    return sum(changed) / len(texts)


def changes_anything(
    shift: Shift, texts: Sequence[str], tokenize: Callable[[str], Any] | None = None, seed: int = 0
) -> bool:
    """Whether a shift at its strongest changes what the model reads of any of these texts.

    False says that its rows would repeat the clean ones: skip them (METHODS section 5.3 on case shifts and
    uncased tokenizers; `spaces` under a tokenizer that drops white space is another such pair).

    Example:
        >>> changes_anything(get("case"), ["A Film"], tokenize=str.lower)
        False
    """
    # A few seeds: a text of one or two words may be left as it is by one.
    return any(share_changed(shift, texts, tokenize, seed=seed + k) > 0 for k in range(_SEEDS))
