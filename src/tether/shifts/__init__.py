"""Views made from a clean batch. One of three rooms that know the modality."""

from __future__ import annotations

from tether.shifts.draws import Draws
from tether.shifts.mixture import Mixture, View, mixture, names_of
from tether.shifts.on_pixels import on_pixels
from tether.shifts.on_strings import on_strings
from tether.shifts.registry import Role, all_shifts, check_roles, default_names, get, resolve, role_of
from tether.shifts.shift import SEVERITIES, Modality, Shift, modality_of

__all__ = [
    "SEVERITIES",
    "Draws",
    "Mixture",
    "Modality",
    "Role",
    "Shift",
    "View",
    "all_shifts",
    "check_roles",
    "default_names",
    "get",
    "mixture",
    "modality_of",
    "names_of",
    "on_pixels",
    "on_strings",
    "resolve",
    "role_of",
]
