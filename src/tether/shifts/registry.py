"""Shifts by name, and which of them may be trained on, tuned on and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Literal

from tether.errors import RequestError, nearest
from tether.shifts import image, text
from tether.shifts.shift import Modality, Shift

Role = Literal["train", "val", "test"]

_SHIFTS = MappingProxyType({shift.name: shift for shift in (*image.SHIFTS, *text.SHIFTS)})
# The extra_* families hold operators akin to tested ones (speckle to gaussian noise) under families of
# their own. METHODS section 5.1 sanctions that split: the 15 corruptions are the test, the 4 extras
# the validation, as their authors published them.
_ROLES: MappingProxyType[Role, frozenset[str]] = MappingProxyType(
    {
        "train": frozenset({"augmix", "geometry", "tone", "word", "format", "vocabulary"}),
        "val": frozenset({"extra_noise", "extra_blur", "extra_colour", "contraction", "spelling"}),
        "test": frozenset(
            {"noise", "blur", "brightness", "contrast", "pixelate", "jpeg"}
            | {"character", "dialect", "demographic", "era"}
        ),
    }
)
# Shifts that have a role but are no part of what a role does by default: the user has to know that they fit.
# case and spaces reach only some tokenizers, glossary and era few texts; that a demographic counterfactual
# keeps the label is an assumption; the single features of dialect are already in it.
_BY_NAME_ONLY = frozenset(
    {"case", "spaces", "glossary", "era"}
    | {s.name for s in text.SHIFTS if s.family == "demographic"}
    | {s.name for s in text.SHIFTS if s.family == "dialect" and s.name != "dialect"}
)


def get(name: str) -> Shift:
    """The shift of that name.

    Raises:
        RequestError: when there is none; it says which is nearest.

    Example:
        >>> get("pixelate")(batch, severity=3, draws=Draws(seed=0)).x.shape
        torch.Size([64, 3, 64, 64])
    """
    if name not in _SHIFTS:
        raise RequestError(f"expected the name of a shift, got {name!r}; {nearest(name, _SHIFTS)}")
    return _SHIFTS[name]


def all_shifts() -> tuple[Shift, ...]:
    """Every packaged shift, image shifts first."""
    return tuple(_SHIFTS.values())


def role_of(shift: Shift) -> Role | None:
    """The role of the shift's family unless the user says otherwise; None for a family of the user's own."""
    return next((role for role, families in _ROLES.items() if shift.family in families), None)


def default_names(role: Role, modality: Modality) -> tuple[str, ...]:
    """Names of the shifts that play this role unless others are named; some are never default ones.

    Example:
        >>> default_names("train", "image")
        ('augmix', 'geometry', 'tone')
    """
    playing = (s.name for s in all_shifts() if s.modality == modality and role_of(s) == role)
    return tuple(name for name in playing if name not in _BY_NAME_ONLY)


def resolve(shifts: Sequence[str | Shift]) -> tuple[Shift, ...]:
    """Shifts from names; a user's own Shift passes through.

    Raises:
        RequestError: on an unknown name, or a name given twice.
    """
    found = tuple(get(s) if isinstance(s, str) else s for s in shifts)
    names = [s.name for s in found]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise RequestError(f"expected each shift once, got {', '.join(twice)} twice; name it once")
    return found


def check_roles(
    train: Sequence[str | Shift],
    val: Sequence[str | Shift],
    test: Sequence[str | Shift],
    *,
    allow_seen: bool = False,
) -> None:
    """Refuse a family in more than one role (METHODS section 5): it would measure memory, not robustness.

    Args:
        train: shifts that training sees.
        val: shifts that a choice (of mu, of a checkpoint) may look at.
        test: shifts that are reported.
        allow_seen: the user knows, and wants the numbers all the same.

    Raises:
        RequestError: naming the family, the roles and the shifts.
    """
    roles = {"train": resolve(train), "val": resolve(val), "test": resolve(test)}
    if allow_seen:
        return
    for (one, these), (other, those) in combinations(roles.items(), 2):
        for family in sorted({s.family for s in these} & {s.family for s in those}):
            left, right = (", ".join(s.name for s in group if s.family == family) for group in (these, those))
            raise RequestError(
                f"expected every family of shifts in one role, but {family!r} is in {one} ({left}) and in "
                f"{other} ({right}); drop one side, or allow seen shifts and report them as seen"
            )
