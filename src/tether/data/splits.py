"""Which row belongs to which set: by a split column, by fraction, or by domain; no group straddles.

A set's name is a split's, with the domain after a slash for the out-of-distribution ones: "ood_test/movie".
Sets made under a synthetic shift beforehand are named "stress/<shift>/<severity>".
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tether.data.config_parts import ID_SPLITS, SPLITS, Fractions, OodDomains
from tether.data.stratify import stratified
from tether.errors import RequestError, nearest

Ints = NDArray[np.int64]
Sets = dict[str, Ints]

# What a set is for. A group may lie in several sets of one purpose, never in sets of two.
PURPOSE = {
    "train": "train",
    "id_val": "val",
    "ood_val": "val",
    "id_test": "test",
    "ood_test": "test",
    "stress": "test",
}
STRESS = "stress"


def by_column(
    where: str, splits: Sequence[str], domains: Sequence[str] | None, groups: Sequence[str] | None
) -> Sets:
    """Sets as the split column names them; without domains an OOD split is one set named like itself.

    A row whose split is "" is in no set; a table cannot say that, a published benchmark does. The domain of
    a "stress" row is a shift and its severity, "frost/3".

    Raises:
        RequestError: at an unknown split, a domain in both OOD splits, or a group of two purposes.
    """
    for row, split in enumerate(splits):
        if split == STRESS:
            _check_stress(where, row, None if domains is None else domains[row])
        elif split and split not in SPLITS:
            raise RequestError(f"{where}: unknown split {split!r} in row {row}; {nearest(split, SPLITS)}")
    if domains is not None:
        held: dict[str, set[str]] = {
            ood: {d for d, s in zip(domains, splits, strict=True) if s == ood}
            for ood in ("ood_val", "ood_test")
        }
        both = sorted(held["ood_val"] & held["ood_test"])
        if both:
            raise RequestError(
                f"{where}: the domains {both} are in ood_val and in ood_test; a domain that steers choices "
                "cannot test them. Keep each on one side."
            )
    if groups is not None:
        purposes: dict[str, str] = {}
        for row, (group, split) in enumerate(zip(groups, splits, strict=True)):
            if split and purposes.setdefault(group, PURPOSE[split]) != PURPOSE[split]:
                raise RequestError(
                    f"{where}: the group {group!r} is in {split} (row {row}) and also serves for "
                    f"{purposes[group]}; a group must lie on one side of a split. Move its rows together."
                )
    names = [
        s if s in ID_SPLITS or not s else f"{s}/{s if domains is None else domains[i]}"
        for i, s in enumerate(splits)
    ]
    return collect(names)


def _check_stress(where: str, row: int, domain: str | None) -> None:
    name, _, severity = (domain or "").partition("/")
    if not name or severity not in ("1", "2", "3", "4", "5"):
        raise RequestError(
            f"{where}: expected a shift and a severity from 1 to 5 as the domain of a stress row, such as "
            f"'frost/3', row {row} has {domain!r}"
        )


def by_fraction(
    where: str,
    labels: Ints,
    fractions: Fractions,
    domains: Sequence[str] | None,
    ood: OodDomains,
    groups: Sequence[str] | None,
    seed: int,
) -> Sets:
    """Held-out domains become the OOD sets, the other rows are divided at random, stratified by label.

    With groups, each group is given one purpose as a whole, and rows of an OOD domain are kept only where
    their group's purpose is that domain's: a group seen in training tests nothing, whatever its domain. The
    rows so left out are in no set.

    Raises:
        RequestError: when a held-out domain does not occur.
    """
    n = len(labels)
    side = np.full(n, "id", dtype=object)
    if domains is not None:
        known = set(domains)
        for key, names in (("ood_val", ood.val), ("ood_test", ood.test)):
            for name in names:
                if name not in known:
                    raise RequestError(f"{where}: there is no domain {name!r}; {nearest(name, known)}")
                side[[d == name for d in domains]] = key
    inside = np.flatnonzero(side == "id")
    rng = np.random.default_rng([seed, len(SPLITS)])
    result = np.array(side, dtype=object)
    if groups is None:
        result[inside] = divide(labels[inside], fractions, rng)
    else:
        codes = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        result[inside] = divide_groups(labels[inside], codes[inside], fractions, rng)
        purpose = {int(g): PURPOSE[s] for g, s in zip(codes[inside], result[inside], strict=True)}
        # A group outside the ID rows is free; test comes first, it is what cannot be had twice.
        for ood_split in ("ood_test", "ood_val"):
            for i in np.flatnonzero(side == ood_split):
                if purpose.setdefault(int(codes[i]), PURPOSE[ood_split]) != PURPOSE[ood_split]:
                    result[i] = ""
    return collect([f"{s}/{domains[i]}" if domains and s[:3] == "ood" else s for i, s in enumerate(result)])


def limited(sets: Sets, labels: Ints, limit: Mapping[str, int | None], seed: int) -> Sets:
    """At most `limit` rows of each set, stratified; a set's full name goes before its split's name.

    Raises:
        RequestError: when a limit names no set, or leaves train fewer rows than it has classes.
    """
    for key in limit:
        if "/" in key and key not in sets:
            raise RequestError(f"data.limit: there is no set {key!r}; {nearest(key, sets)}")
    result: Sets = {}
    for name, rows in sets.items():
        n = limit.get(name, limit.get(name.partition("/")[0]))
        if n is None or n >= len(rows):
            result[name] = rows
            continue
        classes = len(np.unique(labels[rows]))
        if name == "train" and n < classes:
            raise RequestError(
                f"data.limit.train: expected at least one row for each of {classes} classes, got {n}"
            )
        # A generator of its own for each set: one set's limit never changes what another one draws.
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        result[name] = rows[stratified(labels[rows], n, rng)]
    return result


def check_sets(
    where: str, sets: Sets, labels: Ints, classes: Sequence[str], published: bool = False
) -> tuple[str, ...]:
    """Refuse sets that cannot be trained or tested on; what a published benchmark may do comes back as notes.

    Raises:
        RequestError: when an in-distribution set is empty, train has a single class, or another set holds a
            class that train lacks.
    """
    notes: list[str] = []
    for name in ID_SPLITS:
        if name not in sets:
            raise RequestError(
                f"{where}: expected rows for {name}, there are none; name some in the split column, or give "
                "more rows or other fractions"
            )
    taught = set(labels[sets["train"]].tolist())
    if len(taught) < 2:
        raise RequestError(f"{where}: train holds only the class {classes[taught.pop()]!r}; expected two")
    for name, rows in sets.items():
        strange = sorted(set(labels[rows].tolist()) - taught)
        if strange and published:
            notes.append(f"{name} holds {len(strange)} classes that train lacks; no model can learn them")
        elif strange:
            raise RequestError(
                f"{where}: {name} holds the classes {[classes[c] for c in strange]}, which train lacks; a "
                "model cannot learn them. Add training rows of them or remove those rows."
            )
    return tuple(notes)


def collect(names: Sequence[str]) -> Sets:
    """Row positions by set name, the sets in the order of SPLITS and then by domain; "" is no set."""
    known, code = np.unique(np.asarray(names), return_inverse=True)
    at = {str(name): i for i, name in enumerate(known)}
    ranks = (*SPLITS, STRESS)
    order = sorted(set(at) - {""}, key=lambda name: (ranks.index(name.partition("/")[0]), name))
    return {name: np.flatnonzero(code.reshape(-1) == at[name]) for name in order}


def divide(labels: Ints, fractions: Fractions, rng: np.random.Generator) -> NDArray[np.object_]:
    """A split's name for each row, stratified by label."""
    n = len(labels)
    split = np.full(n, "train", dtype=object)
    # One row of each class is train's beforehand: a rare class must be taught before it is asked for.
    reserved = stratified(labels, len(np.unique(labels)), rng)
    rest = np.setdiff1d(np.arange(n), reserved)
    for name, part in (("id_test", fractions.id_test), ("id_val", fractions.id_val)):
        drawn = rest[stratified(labels[rest], round(part * n), rng, cover=False)]
        split[drawn] = name
        rest = np.setdiff1d(rest, drawn)
    return split


def divide_groups(
    labels: Ints, groups: Ints, fractions: Fractions, rng: np.random.Generator
) -> NDArray[np.object_]:
    """Groups one by one, the large first, each to the split whose class counts it brings nearest to plan."""
    names = np.array(ID_SPLITS, dtype=object)
    share = np.array([getattr(fractions, name) for name in ID_SPLITS])
    codes, member = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    table = np.zeros((len(codes), len(classes)))  # rows of each class in each group
    np.add.at(table, (member.reshape(-1), label.reshape(-1)), 1)
    wanted = share[:, None] * table.sum(axis=0)  # (3, C)
    missing, chosen = wanted.copy(), np.zeros(len(codes), dtype=np.int64)
    order = rng.permutation(len(codes))
    for g in order[np.argsort(-table[order].sum(axis=1), kind="stable")]:
        # Gain in squared distance to plan, per class and relative to what the split wants of it.
        before, after = missing**2, (missing - table[g]) ** 2
        gain = ((before - after) / np.maximum(wanted, 1)).sum(axis=1)
        chosen[g] = int(gain.argmax())
        missing[chosen[g]] -= table[g]
    split: NDArray[np.object_] = names[chosen[member.reshape(-1)]]
    return split
