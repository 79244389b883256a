"""Several views of one batch, each with draws of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tether.errors import RequestError
from tether.shifts.mixture import Mixture, mixture
from tether.shifts.recipe import AnyShift
from tether.shifts.registry import Spec
from tether.shifts.shift import Modality


def several(
    count: int,
    names: Sequence[Spec | AnyShift] | None = None,
    severities: Sequence[int] = (1, 2, 3),
    name: str = "shifted",
    usual: Mapping[Modality, Sequence[str]] | None = None,
    fraction: float = 1.0,
) -> dict[str, Mixture]:
    """V views by name: "shifted", "shifted2", "shifted3", ... (METHODS 1.4).

    They differ only by their draws. The first is the view that a single one would be, so that a change of
    V changes nothing else.

    Args:
        count: V.
        names: as of `mixture`.
        severities: as of `mixture`.
        name: of the first view; the others get numbers.
        usual: as of `mixture`.
        fraction: as of `mixture`; the views of a step hold the same samples.

    Raises:
        RequestError: when V is less than 1, and as `mixture` does.

    Example:
        >>> list(several(2, ["augmix"], severities=[3]))
        ['shifted', 'shifted2']
    """
    if count < 1:
        raise RequestError(f"views: expected at least 1, got {count}; 1 is the default")
    numbers = ["", *(str(k) for k in range(2, count + 1))]
    return {
        f"{name}{n}": mixture(names, severities, stream=f"mixture{n}", usual=usual, fraction=fraction)
        for n in numbers
    }
