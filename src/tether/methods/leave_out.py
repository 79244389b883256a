"""A method with parts of it left out: what an ablation trains, read off the value and not off any name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tether.errors import RequestError, nearest
from tether.finish import keep
from tether.methods.method import Method
from tether.prediction import softmax_main
from tether.shifts import AnyShift, Attack, Mixture, View

NAMED = ("term", "teacher", "shift")  # written kind.name
WHOLE = ("finish", "average", "blend", "controller", "predict")  # a method has one of each
Asked = Mapping[str, frozenset[str]]  # term -> the teachers it asks


def check_part(part: str) -> str:
    """The part as it was written, if it can name one.

    Raises:
        RequestError: neither `kind.name` of a kind that has names, nor a kind that has none.

    Example:
        >>> check_part("term.feature")
        'term.feature'
    """
    kind, dot, name = part.partition(".")
    if (kind in NAMED and name) or (part in WHOLE and not dot):
        return part
    forms = [f"{k}.NAME" for k in NAMED]
    raise RequestError(
        f"without: expected {', '.join([*forms, *WHOLE])}, got {part!r}; write without=[term.kd], say"
    )


def left_out(method: Method, parts: Sequence[str], asked: Asked) -> Method:
    """The method without these terms, teachers, finish and the like; shifts are left to `without_shifts`.

    A term gets weight 0. A teacher takes along the terms that ask it; one that nothing asks any more is
    dropped, so that it is neither trained nor run. Without `predict` the main head's softmax predicts.

    Args:
        parts: as `check_part` knows them.
        asked: of the method's terms with a weight.

    Raises:
        RequestError: a part that the method has not, or nothing left to train.
    """
    gone = {kind: {p.partition(".")[2] for p in parts if p.startswith(f"{kind}.")} for kind in NAMED}
    terms = {t.name for t in method.terms if t.weight != 0}
    _check_known(gone["term"], terms, "term")
    _check_known(gone["teacher"], set(method.teachers), "teacher")
    off = gone["term"] | {n for n, by in asked.items() if by & gone["teacher"]}
    if terms and terms <= off:
        raise RequestError(f"without: {', '.join(parts)} leave no term, so there is nothing to train")
    kept = terms - off
    needed = set().union(*(asked.get(n, frozenset(method.teachers)) for n in kept)) | _for_attacks(method)
    dropped = gone["teacher"] | (set(method.teachers) - needed if off else set())
    controls = method.controller is not None and "controller" not in parts
    return replace(
        method,
        terms=tuple(replace(t, weight=0.0) if t.name in off else t for t in method.terms),
        teachers={n: s for n, s in method.teachers.items() if n not in dropped},
        finish=keep if "finish" in parts else method.finish,
        average=None if "average" in parts else method.average,
        blend=None if "blend" in parts else method.blend,
        ingredients={} if "blend" in parts else method.ingredients,
        controller=method.controller if controls else None,
        reference=method.reference if controls else None,
        predict=softmax_main if "predict" in parts else method.predict,
    )


def without_shifts(method: Method, parts: Sequence[str]) -> Method:
    """The method without these shifts, by name or family, in every mixture; the others keep their chances.

    Call it when the mixtures know their members (`Mixture.shifts` is not None).

    Raises:
        RequestError: a shift that no mixture has, or a mixture that would be left empty.
    """
    gone = {p.partition(".")[2] for p in parts if p.startswith("shift.")}
    if not gone:
        return method
    known = {name for v in method.views.values() for s in _members(v) for name in (s.name, s.family)}
    _check_known(gone, known, "shift")
    return replace(method, views={n: _fewer(v, gone) for n, v in method.views.items()})


def families(method: Method) -> tuple[str, ...]:
    """The families that the method's mixtures draw from, in their order."""
    return tuple(dict.fromkeys(s.family for v in method.views.values() for s in _members(v)))


def _fewer(view: View, gone: set[str]) -> View:
    if not isinstance(view, Mixture) or not view.shifts:
        return view
    at = [i for i, s in enumerate(view.shifts) if not {s.name, s.family} & gone]
    if not at:
        raise RequestError(
            f"without: {', '.join(sorted(gone))} leave no shift to draw from; "
            "leave out the terms that look at shifted samples instead"
        )
    weights = view.weights
    if weights is not None:
        total = sum(weights[i] for i in at)
        weights = tuple(weights[i] / total for i in at)
    return replace(view, shifts=tuple(view.shifts[i] for i in at), weights=weights)


def _members(view: View) -> tuple[AnyShift, ...]:
    return (view.shifts or ()) if isinstance(view, Mixture) else ()


def _for_attacks(method: Method) -> set[str]:
    """Teachers that an attack among the views needs."""
    made = [s for v in method.views.values() for s in _members(v)]
    return {t for s in made if isinstance(s, Attack) for t in s.teachers}


def _check_known(given: set[str], known: set[str], kind: str) -> None:
    for name in sorted(given - known):
        has = nearest(name, known) if known else f"this method has no {kind}"
        raise RequestError(f"without: there is no {kind} {name!r} to leave out; {has}")
