"""Batch and Output: what flows between data, shifts, models and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

NO_LABEL = -100  # what cross-entropy ignores


@dataclass(frozen=True)
class Batch:
    """A batch that every model can read, or an embedded one that a single model family can.

    Attributes:
        x: pixels in [0, 1], shape (B, 3, H, W), or B strings; after `Backbone.embed` whatever
            differentiable input that backbone takes.
        y: labels, (B,) int64; -100 where there is none.
        ids: stable sample ids, (B,) int64. Caches, random draws and paired statistics hang on them.
        group: domain or subgroup, (B,) int64.
        mask: valid positions, (B, T) bool; set by a text backbone's `embed`.
        space: "raw", or the name of the model family that can read `x`.

    Example:
        >>> b = Batch(("good", "bad"), torch.tensor([1, 0]), torch.tensor([7, 8]))
        >>> len(b), b.take([1]).x
        (2, ('bad',))
    """

    x: Tensor | tuple[str, ...]
    y: Tensor
    ids: Tensor
    group: Tensor | None = None
    mask: Tensor | None = None
    space: str = "raw"

    def __len__(self) -> int:
        return int(self.y.shape[0])

    def take(self, rows: Sequence[int]) -> Batch:
        """The batch made of these rows, in this order."""
        index = torch.as_tensor(list(rows), dtype=torch.long, device=self.y.device)
        x = tuple(self.x[i] for i in rows) if isinstance(self.x, tuple) else self.x[index]
        return replace(
            self,
            x=x,
            y=self.y[index],
            ids=self.ids[index],
            group=None if self.group is None else self.group[index],
            mask=None if self.mask is None else self.mask[index],
        )

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device; strings stay where they are."""

        def move(t: Tensor | None) -> Tensor | None:
            return None if t is None else t.to(device)

        x = self.x if isinstance(self.x, tuple) else self.x.to(device)
        return replace(
            self,
            x=x,
            y=self.y.to(device),
            ids=self.ids.to(device),
            group=move(self.group),
            mask=move(self.mask),
        )


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch of all rows, in order; used to run several views in one forward pass.

    Token embeddings (B, T, D) of several lengths T are padded to the longest, with zeros and False masks.

    Raises:
        ValueError: when the batches live in different spaces.
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    if any(b.space != first.space for b in batches):
        raise ValueError(f"cannot join batches of spaces {[b.space for b in batches]}")
    x: Tensor | tuple[str, ...]
    if isinstance(first.x, tuple):
        x = tuple(s for b in batches for s in b.x)
    else:
        x = torch.cat(_padded([b.x for b in batches if isinstance(b.x, Tensor)], first.mask is not None))
    groups = [b.group for b in batches if b.group is not None]
    masks = _padded([b.mask for b in batches if b.mask is not None], True)
    return Batch(
        x=x,
        y=torch.cat([b.y for b in batches]),
        ids=torch.cat([b.ids for b in batches]),
        group=torch.cat(groups) if len(groups) == len(batches) else None,
        mask=torch.cat(masks) if len(masks) == len(batches) else None,
        space=first.space,
    )


def _padded(tensors: Sequence[Tensor], tokens: bool) -> list[Tensor]:
    """Where the second axis counts tokens: zeros at its end, up to the longest."""
    if not tokens:
        return list(tensors)
    longest = max((t.shape[1] for t in tensors), default=0)

    def end(t: Tensor) -> Tensor:
        return t.new_zeros(len(t), longest - t.shape[1], *t.shape[2:])

    return [t if t.shape[1] == longest else torch.cat([t, end(t)], 1) for t in tensors]


@dataclass(frozen=True)
class Output:
    """What a model says about a batch.

    Attributes:
        features: pooled embedding phi(x), (B, D).
        logits: head name -> (B, C).
        hidden: block index -> (B, T, D) or (B, C, H, W); only the blocks that were asked for.
        mask: valid positions of the (B, T, D) hidden states, (B, T) bool; None means all.
        trust: how far each sample's main logits may be learnt from, (B,) in [0, 1]; None means wholly. A
            head over other classes than the task's says less where those do not apply (METHODS 1.2, `map`).
    """

    features: Tensor
    logits: Mapping[str, Tensor]
    hidden: Mapping[int, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None
    trust: Tensor | None = None

    def rows(self, start: int, stop: int) -> Output:
        """The outputs of rows start..stop of the batch."""
        return self.take(slice(start, stop))

    def take(self, rows: slice | Tensor) -> Output:
        """The outputs of these rows."""
        return Output(
            features=self.features[rows],
            logits={k: v[rows] for k, v in self.logits.items()},
            hidden={k: v[rows] for k, v in self.hidden.items()},
            mask=None if self.mask is None else self.mask[rows],
            trust=None if self.trust is None else self.trust[rows],
        )

    def detach(self) -> Output:
        """The same numbers without a gradient."""
        return Output(
            features=self.features.detach(),
            logits={k: v.detach() for k, v in self.logits.items()},
            hidden={k: v.detach() for k, v in self.hidden.items()},
            mask=self.mask,
            trust=None if self.trust is None else self.trust.detach(),
        )
