"""Groups of examples: a region, a camera, a user; or overlapping ones, such as whom a comment speaks of.

The rules are those of WILDS (METHODS 1.12): overlapping groups count once for each label, a group with fewer
than 25 examples is told and not judged, and a share comes with its Wilson interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tether.evaluation.metrics import Array, correct
from tether.evaluation.statistics import Interval, wilson

SMALLEST_GROUP = 25

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Names:
    """What the numbers in a prediction file mean.

    Attributes:
        classes: by label; () where they are not known.
        groups: by group code.
        members: of the overlapping groups, by column.
        temperature: that makes ID validation calibrated; None where it was not fitted.
    """

    classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    temperature: float | None = None


NO_NAMES = Names()


@dataclass(frozen=True)
class Grouping:
    """To which groups the examples of one set belong.

    Attributes:
        codes: (N,) int, -1 for none; or None.
        members: (N, G) bool; or None.
    """

    codes: NDArray[np.int64] | None = None
    members: Bools | None = None

    def rows(self, index: Array) -> Grouping:
        """That of some of the examples, by position."""
        return Grouping(
            None if self.codes is None else self.codes[index],
            None if self.members is None else self.members[index],
        )


NO_GROUPS = Grouping()


@dataclass(frozen=True)
class Group:
    """Some examples of a set: `inside` is (N,) bool, `by` is "class", "group" or "member"."""

    by: str
    name: str
    inside: Bools = field(repr=False)

    @property
    def n(self) -> int:
        """How many examples."""
        return int(self.inside.sum())

    @property
    def judged(self) -> bool:
        """Whether it is large enough to be a worst group."""
        return self.n >= SMALLEST_GROUP


def classes_of(labels: Array, names: Names) -> list[Group]:
    """One group a class that occurs among the labels."""
    return [Group("class", _name(names.classes, c), np.asarray(labels == c)) for c in np.unique(labels)]


def groups_of(labels: Array, grouping: Grouping, names: Names) -> list[Group]:
    """The groups that occur in a set: plain ones by code, overlapping ones once for each label."""
    found = []
    if grouping.codes is not None:
        codes = grouping.codes
        found += [Group("group", _name(names.groups, g), codes == g) for g in np.unique(codes[codes >= 0])]
    if grouping.members is not None:
        for g in range(grouping.members.shape[1]):
            for c in np.unique(labels):
                inside = grouping.members[:, g] & (labels == c)
                if inside.any():
                    name = f"{_name(names.members, g)}, {_name(names.classes, c)}"
                    found.append(Group("member", name, inside))
    return found


def judged_groups(groups: Sequence[Group]) -> list[Group]:
    """Those a worst group is chosen from: overlapping ones where there are any, else plain ones; n >= 25."""
    by = "member" if any(g.by == "member" for g in groups) else "group"
    return [g for g in groups if g.by == by and g.judged]


def worst_group(
    probabilities: Array, labels: Array, groups: Sequence[Group]
) -> tuple[Group, Interval] | None:
    """The judged group with the lowest accuracy, with its Wilson interval; None when none is judged.

    The lowest of many shares is low partly by chance: its interval says how sure the share of that group is,
    not how sure it is that this group is the worst.

    Example:
        >>> p, y = np.tile([0.9, 0.1], (60, 1)), np.repeat([0, 1], 30)
        >>> worst_group(p, y, groups_of(y, Grouping(codes=y), Names(groups=("east", "west"))))[0].name
        'west'
    """
    hits = correct(probabilities, labels)
    found = [(g, wilson(int(hits[g.inside].sum()), g.n)) for g in judged_groups(groups)]
    return min(found, key=lambda each: each[1].value, default=None)


def tenth_percentile(probabilities: Array, labels: Array, groups: Sequence[Group]) -> float:
    """10th percentile of the judged groups' accuracies, linear between ranks; NaN when none is judged.

    WILDS' rule for Amazon, where a group is a user.
    """
    hits = correct(probabilities, labels)
    shares = [hits[g.inside].mean() for g in judged_groups(groups)]
    return float(np.percentile(shares, 10)) if shares else float("nan")


def group_columns(groups: Sequence[Group], n: int) -> sparse.csr_array:
    """(N, G) of 0 and 1, who is in which judged group; sparse: a thousand users are a thousand groups."""
    members = [np.flatnonzero(g.inside) for g in judged_groups(groups)]
    rows = np.concatenate([np.zeros(0, np.int64), *members])
    columns = np.repeat(np.arange(len(members)), [len(m) for m in members])
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, len(members)))


def _name(names: Sequence[str], code: int) -> str:
    return names[code] if 0 <= code < len(names) else str(int(code))
