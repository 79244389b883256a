"""In-distribution sets that a source lacks, drawn from those it has."""

from __future__ import annotations

import numpy as np

from tether.data.config_parts import Fractions
from tether.data.splits import Ints, Sets, divide, divide_groups
from tether.data.stratify import stratified

# Sets the config draws elsewhere start from [seed, 5] and [seed, a name's hash].
STREAM = 77


def completed(sets: Sets, labels: Ints, groups: Ints | None, fractions: Fractions, seed: int) -> Sets:
    """The sets, with id_val and id_test drawn where they are missing, stratified by label.

    A missing id_test is the half of id_val where there is one, so that a published training set stays whole;
    else it is drawn from train, and so is a missing id_val, each by its fraction. No group is divided.

    Args:
        sets: row positions by set.
        labels: class indices of all rows, (N,).
        groups: codes of the groups of all rows, (N,), or None.
        fractions: the shares of train, id_val and id_test; those of sets that exist do not count.
        seed: of the draw.

    Example:
        >>> sets = completed({"train": np.arange(20)}, np.arange(20) % 2, None, Fractions(), 0)
        >>> [len(rows) for rows in sets.values()]
        [14, 3, 3]
    """
    missing = [name for name in ("id_val", "id_test") if name not in sets]
    if not missing or "train" not in sets:
        return sets
    rng = np.random.default_rng([seed, STREAM])
    done = dict(sets)
    if missing == ["id_test"]:
        rows = sets["id_val"]
        if groups is None:
            chosen = stratified(labels[rows], len(rows) // 2, rng, cover=False)
            test = np.isin(np.arange(len(rows)), chosen)
        else:
            half = Fractions(train=0.5, id_val=1e-9, id_test=0.5 - 1e-9)
            test = divide_groups(labels[rows], groups[rows], half, rng) == "id_test"
        done["id_val"], done["id_test"] = rows[~test], rows[test]
    else:
        rows = sets["train"]
        total = fractions.train + sum(getattr(fractions, name) for name in missing)
        tiny = 1e-9  # a share of nothing: the set exists already
        shares = {
            name: getattr(fractions, name) / total if name in missing else tiny
            for name in ("id_val", "id_test")
        }
        plan = Fractions(train=1 - sum(shares.values()), **shares)
        draw = (
            divide(labels[rows], plan, rng)
            if groups is None
            else divide_groups(labels[rows], groups[rows], plan, rng)
        )
        # With no set missing of that name its share is nothing, but a rounding must not lose a row.
        for name in ("id_val", "id_test"):
            if name not in missing:
                draw[draw == name] = "train"
        done["train"] = rows[draw == "train"]
        for name in missing:
            done[name] = rows[draw == name]
    order = [*("train", "id_val", "id_test"), *(name for name in sets if name[:3] not in ("tra", "id_"))]
    return {name: done[name] for name in order if len(done[name])}
