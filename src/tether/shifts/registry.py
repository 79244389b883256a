"""Shifts by name: the packaged ones, those that take options, and those of other packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tether import plugins
from tether.data.config_parts import ShiftSpec
from tether.errors import RequestError, nearest
from tether.shifts import adversarial, discrete, generated, image, retrieved, text
from tether.shifts.maker import Maker
from tether.shifts.recipe import AnyShift
from tether.shifts.shift import Modality, Shift
from tether.signature import checked_options

GROUP = "tether.shifts"  # entry points of other packages: each a Shift, Attack, Recipe or Maker
WEIGHT = "weight"  # of a member of a mixture; it belongs to the mixture, not to the shift
PROTECT = "protect"  # words that a shift of texts must leave alone; any of them takes it

Spec = ShiftSpec

_SHIFTS = MappingProxyType({shift.name: shift for shift in (*image.SHIFTS, *text.SHIFTS)})
_MAKERS: MappingProxyType[str, Maker] = MappingProxyType(
    {
        maker.name: maker
        for maker in (
            *image.MAKERS,
            *adversarial.MAKERS,
            *discrete.MAKERS,
            *retrieved.MAKERS,
            *generated.MAKERS,
            *text.MAKERS,
        )
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


def names() -> list[str]:
    """Every known name, packaged ones first."""
    own = list(dict.fromkeys([*_SHIFTS, *_MAKERS]))
    return [*own, *(n for n in plugins.names(GROUP) if n not in own)]


def all_shifts() -> tuple[Shift, ...]:
    """Every packaged shift that is ready as it stands, image shifts first."""
    return tuple(_SHIFTS.values())


def catalogue() -> tuple[AnyShift | Maker, ...]:
    """Everything that can be named, for listings."""
    return tuple(_entry(name) for name in names())


def _entry(name: str) -> AnyShift | Maker:
    if name in _SHIFTS:
        return _SHIFTS[name]
    if name in _MAKERS:
        return _MAKERS[name]
    found: AnyShift | Maker | None = plugins.find(GROUP, name, "shift")
    if found is None:
        raise RequestError(f"expected the name of a shift, got {name!r}; {nearest(name, names())}")
    return found


def get(spec: str | Mapping[str, Any]) -> AnyShift:
    """The shift of that name, or of that name with options.

    Args:
        spec: "pixelate", or {"name": "adv_divergence", "steps": 5}.

    Raises:
        RequestError: no such shift (it says which is nearest), no such option, a value of the wrong type.

    Example:
        >>> get("pixelate")(batch, severity=3, draws=Draws(seed=0)).x.shape
        torch.Size([64, 3, 64, 64])
    """
    if isinstance(spec, str):
        name, options = spec, {}
    else:
        if not isinstance(spec.get("name"), str):
            raise RequestError(
                f"expected a shift as a name or as {{name: ..., options}}, got {dict(spec)!r}; name it"
            )
        name = spec["name"]
        options = {k: v for k, v in spec.items() if k not in ("name", WEIGHT, PROTECT)}
    # With options a name may stand for more than the shift that is ready under it (glossary).
    entry = _MAKERS[name] if options and name in _MAKERS else _entry(name)
    if isinstance(entry, Maker):
        made = entry.make(**checked_options(entry.make, options, "shift", name))
    elif options:
        raise RequestError(f"{name}: expected no options, got {', '.join(options)}; leave them out")
    else:
        made = entry
    return _protected(made, spec[PROTECT]) if not isinstance(spec, str) and PROTECT in spec else made


def _protected(shift: AnyShift, words: Any) -> AnyShift:
    if not isinstance(shift, Shift):
        raise RequestError(
            f"{shift.name}: expected a rule-based shift of texts to protect words from; leave protect out"
        )
    return text.protected(shift, words)


def weight_of(spec: Any) -> float:
    """How often a member of a mixture is drawn, relative to the others; 1 unless its spec says so."""
    return float(spec.get(WEIGHT, 1.0)) if isinstance(spec, Mapping) else 1.0


def resolve(shifts: Sequence[Any]) -> tuple[AnyShift, ...]:
    """Shifts from names and specs; one that is made already passes through.

    Raises:
        RequestError: on an unknown name, or a name given twice.
    """
    found = tuple(get(s) if isinstance(s, str | Mapping) else s for s in shifts)
    given = [s.name for s in found]
    if twice := sorted({n for n in given if given.count(n) > 1}):
        raise RequestError(f"expected each shift once, got {', '.join(twice)} twice; name it once")
    return found


def named(modality: Modality) -> tuple[Shift, ...]:
    """The ready shifts of a modality."""
    return tuple(s for s in all_shifts() if s.modality == modality)
