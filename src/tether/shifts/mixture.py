"""What training sees: every sample shifted by a shift and a severity of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch, concatenate
from tether.errors import RequestError
from tether.shifts.draws import Draws
from tether.shifts.joining import in_one_space
from tether.shifts.recipe import AnyShift
from tether.shifts.registry import Spec, resolve, weight_of
from tether.shifts.roles import default_names
from tether.shifts.shift import SEVERITIES, Modality, modality_of
from tether.shifts.supplies import Supplies
from tether.shifts.view import View

IN_VIEW = "in the view"  # the draw that puts a sample there, alike in every view of a step


@dataclass(frozen=True)
class Mixture:
    """A View that draws one shift and one severity per sample; made by `mixture`.

    Attributes:
        shifts: what it draws from; None for the default train shifts of the batch's own modality.
        severities: drawn with equal chances.
        weights: chances of the shifts, summing to 1; None for equal ones.
        stream: views of one step with different streams draw unrelated numbers.
        usual: by modality, the names that stand for None instead of the default train shifts.
        after: (batch, model, draws) -> batch, a last step on what was drawn; None for none.
        fraction: each sample is in the view with this chance, the same samples in every view of a step; at
            least one is. A forward of the view costs so much less.
    """

    shifts: tuple[AnyShift, ...] | None
    severities: tuple[int, ...]
    weights: tuple[float, ...] | None
    stream: str = "mixture"
    usual: Mapping[Modality, tuple[str, ...]] = field(default_factory=dict)
    after: Callable[[Batch, Any, Draws], Batch] | None = None
    fraction: float = 1.0

    def among(self, modality: Modality) -> tuple[AnyShift, ...]:
        """The shifts that a batch of this modality may get."""
        if self.shifts is None:
            return resolve(self.usual.get(modality) or default_names("train", modality))
        fitting = tuple(s for s in self.shifts if s.modality in (None, modality))
        return fitting or self.shifts  # without one, the first refuses the batch itself

    def prepared(self, supplies: Supplies) -> Mixture:
        """The same mixture with every recipe built."""
        if self.shifts is None:
            return self
        return replace(self, shifts=tuple(s.prepared(supplies) for s in self.shifts))

    def __call__(self, batch: Batch, model: Any, teachers: Any, draws: Draws) -> Batch:
        """The view: the same ids in the same order, shifted. Only attacks read model and teachers.

        Where some rows came back as token embeddings, all do: raw rows are embedded by the model.
        """
        shifts = self.among(modality_of(batch))
        if len(batch) == 0:
            return batch
        batch = self._drawn(batch, draws)
        draws = draws.spawn(self.stream)
        which = self._shift_of(batch.ids, len(shifts), draws)
        how = draws.integers(batch.ids, 0, len(self.severities), (), "severity")
        groups: dict[tuple[int, int], list[int]] = {}
        for row, pair in enumerate(zip(which.tolist(), how.tolist(), strict=True)):
            groups.setdefault(pair, []).append(row)
        parts = [
            shifts[s].at(self.severities[k])(batch.take(rows), model, teachers, draws)
            for (s, k), rows in groups.items()
        ]
        place = [row for rows in groups.values() for row in rows]
        out = concatenate(in_one_space(parts, model)).take(sorted(range(len(place)), key=place.__getitem__))
        return out if self.after is None else self.after(out, model, draws)

    def _drawn(self, batch: Batch, draws: Draws) -> Batch:
        """The samples that are in the view; the same ones however a step is split into batches."""
        if self.fraction >= 1:
            return batch
        rows = draws.part(batch.ids, self.fraction, IN_VIEW).nonzero()[:, 0].tolist()
        return batch.take(rows or [int(draws.uniform(batch.ids, (), IN_VIEW).argmin())])

    def _shift_of(self, ids: Tensor, count: int, draws: Draws) -> Tensor:
        """Index of each sample's shift, (B,) int64."""
        if self.weights is None:
            return draws.integers(ids, 0, count, (), "shift")
        bounds = torch.tensor(self.weights, dtype=torch.float64, device=ids.device).cumsum(0)[:-1]
        return torch.bucketize(draws.uniform(ids, (), "shift").double(), bounds, right=True)


def mixture(
    names: Sequence[Spec | AnyShift] | None = None,
    severities: Sequence[int] = (1, 2, 3),
    weights: Sequence[float] | None = None,
    stream: str = "mixture",
    usual: Mapping[Modality, Sequence[str]] | None = None,
    fraction: float = 1.0,
) -> Mixture:
    """A view in which each sample draws its own shift and severity.

    Args:
        names: shifts of one modality, by name, as {"name": ..., "weight": ..., option: ...}, or made
            already; None for the default train shifts of whatever the batch holds.
        severities: 1 to 5, drawn with equal chances; 0 may stand for samples left clean.
        weights: how often each named shift is drawn, relative to the others; it overrides the specs'.
        stream: give each of several views in a step a stream of its own.
        usual: by modality, names to take for None where the data name none either.
        fraction: the chance of each sample to be in the view, above 0 up to 1; as many in each step.

    Raises:
        RequestError: on an unknown name, mixed modalities, or severities, weights or a fraction that make no
            sense.

    Example:
        >>> view = mixture(["augmix", {"name": "geometry", "weight": 2}], severities=[3])
        >>> view(batch, None, None, Draws(seed=0, step=12)).x.shape == batch.x.shape
        True
    """
    shifts = None if names is None else resolve(names)
    if shifts is not None and (not shifts or len({s.modality for s in shifts if s.modality is not None}) > 1):
        got = ", ".join(f"{s.name} ({s.modality or 'any'})" for s in shifts) or "none"
        raise RequestError(
            f"expected shifts of one modality, at least one, got {got}; list images' or texts' only"
        )
    if not severities or any(isinstance(s, bool) or s not in (0, *SEVERITIES) for s in severities):
        raise RequestError(
            f"expected severities of 0 to 5, at least one, got {list(severities)}; try [1, 2, 3]"
        )
    if not 0 < fraction <= 1:
        raise RequestError(f"expected a fraction above 0 and up to 1, got {fraction}; 1 shifts every sample")
    if weights is None and names is not None:
        weights = [weight_of(n) for n in names]
        if len(set(weights)) == 1 and weights[0] > 0:
            weights = None
    if weights is None:
        instead = {kind: tuple(these) for kind, these in (usual or {}).items()}
        return Mixture(shifts, tuple(severities), None, stream, instead, fraction=fraction)
    if shifts is None or len(weights) != len(shifts):
        raise RequestError(
            f"expected one weight per named shift, got {len(weights)} for {len(shifts or ())} names; "
            "name the shifts that the weights belong to"
        )
    total = float(sum(weights))
    if not all(w >= 0 for w in weights) or not 0 < total < float("inf"):
        raise RequestError(f"expected weights of at least 0, not all 0, got {list(weights)}; raise one")
    shares = tuple(float(w) / total for w in weights)
    return Mixture(shifts, tuple(severities), shares, stream, fraction=fraction)


def members_of(view: View, modality: Modality) -> tuple[AnyShift, ...]:
    """The shifts that a view trains on, for the report; () for a view that is no mixture."""
    return view.among(modality) if isinstance(view, Mixture) else ()


def prepared_view(view: View, supplies: Supplies) -> View:
    """The view with its recipes built; one that is no mixture is taken as it is."""
    return view.prepared(supplies) if isinstance(view, Mixture) else view
