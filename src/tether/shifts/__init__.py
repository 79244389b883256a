"""Views made from a clean batch. One of three rooms that know the modality."""

from __future__ import annotations

from tether.shifts.attack import Attack
from tether.shifts.draws import Draws
from tether.shifts.either import either
from tether.shifts.maker import Maker
from tether.shifts.mixture import Mixture, members_of, mixture, prepared_view
from tether.shifts.on_pixels import on_pixels
from tether.shifts.on_strings import on_strings
from tether.shifts.recipe import AnyShift, Ready, Recipe
from tether.shifts.registry import Spec, all_shifts, catalogue, get, resolve
from tether.shifts.roles import Role, check_roles, default_names, role_of
from tether.shifts.several import several
from tether.shifts.shift import (
    SEVERITIES,
    Modality,
    Shift,
    check_severity,
    modality_in,
    modality_of,
    wrong_modality,
)
from tether.shifts.supplies import Supplies
from tether.shifts.text.effect import changes_anything, share_changed
from tether.shifts.text.glossary import glossary
from tether.shifts.text.protect import protected
from tether.shifts.view import View

__all__ = [
    "SEVERITIES",
    "AnyShift",
    "Attack",
    "Draws",
    "Maker",
    "Mixture",
    "Modality",
    "Ready",
    "Recipe",
    "Role",
    "Shift",
    "Spec",
    "Supplies",
    "View",
    "all_shifts",
    "catalogue",
    "changes_anything",
    "check_roles",
    "check_severity",
    "default_names",
    "either",
    "get",
    "glossary",
    "members_of",
    "mixture",
    "modality_in",
    "modality_of",
    "on_pixels",
    "on_strings",
    "prepared_view",
    "protected",
    "resolve",
    "role_of",
    "several",
    "share_changed",
    "wrong_modality",
]
