"""Views made from a clean batch. One of three rooms that know the modality."""

from __future__ import annotations

from tether.shifts.draws import Draws
from tether.shifts.mixture import Mixture, View, mixture, names_of
from tether.shifts.on_pixels import on_pixels
from tether.shifts.on_strings import on_strings
from tether.shifts.registry import Role, all_shifts, check_roles, default_names, get, resolve, role_of
from tether.shifts.shift import SEVERITIES, Modality, Shift, modality_of
from tether.shifts.text.effect import changes_anything, share_changed
from tether.shifts.text.glossary import glossary
from tether.shifts.text.protect import protected

__all__ = [
    "SEVERITIES",
    "Draws",
    "Mixture",
    "Modality",
    "Role",
    "Shift",
    "View",
    "all_shifts",
    "changes_anything",
    "check_roles",
    "default_names",
    "get",
    "glossary",
    "mixture",
    "modality_of",
    "names_of",
    "on_pixels",
    "on_strings",
    "protected",
    "resolve",
    "role_of",
    "share_changed",
]
