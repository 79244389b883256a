"""Shift: one named way to move a batch away from the distribution it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from tether.batch import NO_LABEL, Batch
from tether.data import Examples
from tether.errors import RequestError
from tether.shifts.draws import Draws
from tether.shifts.supplies import Supplies
from tether.shifts.view import View

Modality = Literal["image", "text"]
SEVERITIES = (1, 2, 3, 4, 5)


def modality_of(batch: Batch) -> Modality:
    """Say what a batch holds.

    Raises:
        RequestError: when it was embedded already; shifts work on what every model can read.
    """
    if batch.space != "raw":
        raise RequestError(
            f"expected a raw batch of pixels or strings, got one in the space {batch.space!r}; "
            "apply shifts before the backbone's embed"
        )
    return "image" if isinstance(batch.x, Tensor) else "text"


def modality_in(examples: Examples) -> Modality:
    """Say what a set of samples holds, by its first one."""
    return modality_of(examples.batch([0]))


def check_severity(name: str, severity: int) -> None:
    """Refuse a severity that is not one of 0..5."""
    if isinstance(severity, bool) or severity not in (0, *SEVERITIES):
        raise RequestError(
            f"{name}: expected a severity of 1 to 5 (0 for none), got {severity!r}; choose one of them"
        )


def wrong_modality(name: str, expected: Modality, found: Modality) -> RequestError:
    """The error for a shift that meets samples it was not made for."""
    return RequestError(
        f"{name}: expected a batch of {expected}s, got {found}s; choose a shift made for {found}s"
    )


def unlabelled(batch: Batch) -> Batch:
    """The same samples without labels."""
    return replace(batch, y=torch.full_like(batch.y, NO_LABEL))


@dataclass(frozen=True)
class Shift:
    """A named shift with severities 1 to 5 (METHODS section 5, common contract); 0 is the identity.

    Attributes:
        name: what configs and reports call it.
        family: shifts that share an operator; a family is trained on or tested on, never both.
        modality: "image" (pixels in [0, 1], (B, 3, H, W) float) or "text" (B strings).
        summary: one line for `tether list shifts`.
        apply: the work, called with severity 1..5 only. It keeps ids, y, group, and for images
            shape, dtype, device and range. `on_pixels` and `on_strings` make such a function.
        label_preserving: whether the label of the clean sample still holds; where not, the batch has no
            labels (y of -100) when it comes out.
        default: part of its role's default set; the others are used when they are named.

    Example:
        >>> dim = Shift("dim", "mine", "image", "half the light", on_pixels(lambda x, s, ids, d: x / 2))
        >>> dim(batch, severity=1, draws=Draws(seed=0)).x.max() <= 0.5
        tensor(True)
    """

    name: str
    family: str
    modality: Modality
    summary: str
    apply: Callable[[Batch, int, Draws], Batch]
    label_preserving: bool = True
    default: bool = True

    def __call__(self, batch: Batch, severity: int, draws: Draws) -> Batch:
        """The shifted batch.

        The draws do not depend on the severity: a sample gets the same noise pattern, only more of
        it, so severities can be compared sample by sample.

        Raises:
            RequestError: when the severity is not one of 0..5, or the batch is of another modality.
        """
        check_severity(self.name, severity)
        if (found := modality_of(batch)) != self.modality:
            raise wrong_modality(self.name, self.modality, found)
        if severity == 0 or len(batch) == 0:
            return batch
        out = self.apply(batch, severity, draws.spawn(self.name))
        return out if self.label_preserving else unlabelled(out)

    def at(self, severity: int) -> View:
        """The shift at one severity, as a view that asks no model.

        Raises:
            RequestError: when the severity is not one of 0..5.
        """
        check_severity(self.name, severity)

        def view(batch: Batch, model: Any, teachers: Any, draws: Draws) -> Batch:
            return self(batch, severity, draws)

        return view

    def prepared(self, supplies: Supplies) -> Shift:
        """Itself: it needs nothing beforehand."""
        return self
