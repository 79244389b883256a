"""One shift for pictures and one for texts, as one view: a method is composed before its data are known."""

from __future__ import annotations

from collections.abc import Sequence

from tether.shifts.mixture import Mixture
from tether.shifts.recipe import AnyShift
from tether.shifts.registry import Spec, resolve


def either(
    image: Spec | AnyShift, text: Spec | AnyShift, severities: Sequence[int], stream: str = "mixture"
) -> Mixture:
    """A view that makes pictures with the one shift and texts with the other.

    Args:
        image: as a member of `mixture`.
        text: as a member of `mixture`.
        severities: as of `mixture`.
        stream: as of `mixture`.

    Example:
        >>> [s.name for s in either("tone", "word_swap", severities=[3]).among("text")]
        ['word_swap']
    """
    return Mixture(resolve([image, text]), tuple(severities), None, stream)
