"""Attack: a shift made against a model, so that it differs from step to step and from model to model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tether.batch import Batch
from tether.shifts.draws import Draws
from tether.shifts.shift import Modality, check_severity, modality_of, unlabelled, wrong_modality
from tether.shifts.supplies import Supplies
from tether.shifts.view import View


@dataclass(frozen=True)
class Attack:
    """A shift that asks the student and its teachers where they are weak (METHODS 1.8).

    Attributes:
        name: what configs and reports call it.
        family: as of a Shift.
        modality: "image" or "text".
        summary: one line for `tether list shifts`.
        apply: (batch, severity, draws, model, teachers) -> batch, called with severity 1..5 only. It
            leaves the parameters' gradients and the models' modes as it found them.
        teachers: names of the teachers it asks; a method that uses the attack must bind them.
        label_preserving: whether the label of the clean sample still holds.
        default: part of its role's default set.
        space: "embedding" where it gives token embeddings back, or asks its teachers about them. They must
            then have the student's embeddings, which therefore may not train.
        sanity: (runner of M_0, clean batch, severity) -> a warning about the budget, or None.

    Example:
        >>> attack.at(3)(batch, model, {"initial": teacher}, Draws(seed=0, step=12)).x.shape
        torch.Size([64, 3, 64, 64])
    """

    name: str
    family: str
    modality: Modality
    summary: str
    apply: Callable[[Batch, int, Draws, Any, Any], Batch]
    teachers: tuple[str, ...] = ()
    label_preserving: bool = True
    default: bool = False
    space: Literal["raw", "embedding"] = "raw"
    sanity: Callable[[Any, Batch, int], str | None] | None = None

    def at(self, severity: int) -> View:
        """The attack at one severity, as a view.

        Raises:
            RequestError: when the severity is not one of 0..5, or the batch is of another modality.
        """
        check_severity(self.name, severity)

        def view(batch: Batch, model: Any, teachers: Any, draws: Draws) -> Batch:
            if (found := modality_of(batch)) != self.modality:
                raise wrong_modality(self.name, self.modality, found)
            if severity == 0 or len(batch) == 0:
                return batch
            out = self.apply(batch, severity, draws.spawn(self.name), model, teachers)
            return out if self.label_preserving else unlabelled(out)

        return view

    def prepared(self, supplies: Supplies) -> Attack:
        """Itself: it needs nothing beforehand."""
        return self
