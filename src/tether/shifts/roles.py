"""Which shifts may be trained on, tuned on and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any, Literal

from tether.errors import RequestError
from tether.shifts.maker import Maker
from tether.shifts.recipe import AnyShift
from tether.shifts.registry import named, resolve
from tether.shifts.shift import Modality

Role = Literal["train", "val", "test"]

# The extra_* families hold operators akin to tested ones (speckle to gaussian noise) under families of
# their own. METHODS section 5.1 sanctions that split: the 15 corruptions are the test, the 4 extras
# the validation, as their authors published them.
_ROLES: MappingProxyType[Role, frozenset[str]] = MappingProxyType(
    {
        "train": frozenset(
            (
                *("augmix", "geometry", "tone"),
                *("pixmix", "randaugment", "cutout", "mixup"),
                *("style", "fourier", "histogram", "adain", "medical", "satellite"),
                *("word", "format", "vocabulary"),
                *("adversarial", "retrieved", "generated"),
                *("discrete", "adain_ae", "deepaugment"),
            )
        ),
        "val": frozenset(
            ("extra_noise", "extra_blur", "extra_colour", "extra_weather", "contraction", "spelling")
        ),
        "test": frozenset(
            (
                *("noise", "blur", "weather", "brightness", "contrast", "elastic", "pixelate", "jpeg"),
                *("character", "dialect", "demographic", "era"),
            )
        ),
    }
)


def role_of(shift: AnyShift | Maker) -> Role | None:
    """The role of the shift's family unless the user says otherwise; None for a family of the user's own."""
    return next((role for role, families in _ROLES.items() if shift.family in families), None)


def default_names(role: Role, modality: Modality) -> tuple[str, ...]:
    """Names of the shifts that play this role when none is named.

    Example:
        >>> default_names("train", "image")
        ('augmix', 'geometry', 'tone')
    """
    return tuple(s.name for s in named(modality) if s.default and role_of(s) == role)


def check_roles(
    train: Sequence[Any], val: Sequence[Any], test: Sequence[Any], *, allow_seen: bool = False
) -> None:
    """Refuse a family in more than one role (METHODS section 5): it would measure memory, not robustness.

    Args:
        train: shifts that training sees, as names, specs or shifts.
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
