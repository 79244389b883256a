"""Recipe: a shift that must be built from the user's data, or from a model, before it can be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from tether.errors import RequestError
from tether.shifts.attack import Attack
from tether.shifts.shift import Modality, Shift
from tether.shifts.supplies import Supplies
from tether.shifts.view import View

Ready = Shift | Attack


@dataclass(frozen=True)
class Recipe:
    """A named shift, not built yet: retrieved neighbours, a discretiser, texts that a model rewrote.

    Attributes:
        name: what configs and reports call it.
        family: as of a Shift.
        modality: "image", "text", or None where it works for both.
        summary: one line for `tether list shifts`.
        build: makes the shift; dear work is kept in the cache and happens once. It raises RequestError
            when the supplies do not suffice.
        label_preserving: whether the label of the clean sample still holds.
        default: part of its role's default set.

    Example:
        >>> recipe.prepared(supplies)(batch, 3, Draws(seed=0)).x.shape  # doctest: +SKIP
        torch.Size([64, 3, 64, 64])
    """

    name: str
    family: str
    modality: Modality | None
    summary: str
    build: Callable[[Supplies], Ready]
    label_preserving: bool = True
    default: bool = False

    def prepared(self, supplies: Supplies) -> Ready:
        """The shift itself."""
        return self.build(supplies)

    def at(self, severity: int) -> View:
        """Refuse: a recipe is no shift yet.

        Raises:
            RequestError: always; `tether.train` prepares recipes, a loop of one's own must do it too.
        """
        self._unbuilt()

    def _unbuilt(self) -> NoReturn:
        raise RequestError(
            f"{self.name}: expected a shift that is built, got its recipe; call .prepared(supplies) first"
        )


AnyShift = Shift | Attack | Recipe
