"""Templates that test behaviour: CheckList's MFT, INV and DIR (Ribeiro and others, 2020).

A minimum functionality test (MFT) has a known label; an invariance test (INV) changes what must not matter;
a directional test (DIR) changes what must move the prediction one way, or not the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tether.batch import Batch
from tether.errors import RequestError, nearest
from tether.shifts.draws import Draws
from tether.shifts.shift import Shift

Predict = Callable[[Sequence[str]], Any]  # N texts -> probabilities (N, C): an array, tensor or nested list
Slot = Sequence[str] | Mapping[str, Sequence[str]]  # what may stand there, or the same by group
TOLERANCE = 0.1  # of a probability, in a directional test; CheckList's own
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Case:
    """One expectation.

    Attributes:
        kind: "MFT" (one text), "INV" (texts alike) or "DIR" (the text before, the text after).
        texts: what the model reads.
        label: the class expected (MFT), or whose probability is watched (DIR).
        rises: of a DIR: whether that probability may not fall (True) or may not rise (False).
        groups: the group of each text, "" for none.
    """

    kind: Literal["MFT", "INV", "DIR"]
    texts: tuple[str, ...]
    label: int | None = None
    rises: bool = True
    groups: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Outcome:
    """What `evaluate` found.

    Attributes:
        failure_rate: failed cases over all.
        by_kind: the same for each kind of case.
        by_group: failed texts over all texts of a group; of an INV, a text fails that gets another class
            than most of its case (than the first text, on a tie).
        max_group_gap: largest minus smallest of `by_group`; None with fewer than two groups.
        failures: the failed cases.
    """

    failure_rate: float
    by_kind: Mapping[str, float]
    by_group: Mapping[str, float]
    max_group_gap: float | None
    failures: tuple[Case, ...]


def fill(template: str, **slots: Slot) -> list[tuple[str, dict[str, str], str]]:
    """Every way to fill a template.

    Args:
        template: text with slots such as {name}.
        slots: what may stand in each; a mapping of group to words gives the texts a group.

    Returns:
        (text, what stands in each slot, groups joined by "/").

    Raises:
        RequestError: when template and slots do not fit, or a slot is empty.

    Example:
        >>> [t for t, _, _ in fill("{name} is {mood}.", name=["Ann", "Bo"], mood=["sad"])]
        ['Ann is sad.', 'Bo is sad.']
    """
    asked = set(_SLOT.findall(template))
    if asked != set(slots):
        odd = sorted(asked ^ set(slots))
        raise RequestError(
            f"checklist: expected words for the slots of {template!r}, but {odd[0]!r} is only on one side; "
            f"{nearest(odd[0], asked | set(slots))}"
        )
    choices = {name: _choices(name, slot) for name, slot in slots.items()}
    found = []
    for combination in product(*choices.values()):
        words = {name: word for name, (word, _) in zip(choices, combination, strict=True)}
        group = "/".join(g for _, g in combination if g)
        found.append((_put(template, words), words, group))
    return found


def _put(template: str, words: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda m: words[m.group(1)], template)


def _choices(name: str, slot: Slot) -> list[tuple[str, str]]:
    if isinstance(slot, str) or not slot:
        raise RequestError(
            f"checklist: expected a list of words for {{{name}}}, got {slot!r}; list at least one"
        )
    if isinstance(slot, Mapping):
        return [(word, group) for group, words in slot.items() for word in words]
    return [(word, "") for word in slot]


def mft(template: str, label: int, **slots: Slot) -> list[Case]:
    """Cases whose label is known: one for each filling.

    Example:
        >>> cases = mft("{name} loved it.", label=1, name={"women": ["Ann"], "men": ["Bo"]})
    """
    return [Case("MFT", (text,), label, groups=(group,)) for text, _, group in fill(template, **slots)]


def inv(template: str, vary: str, **slots: Slot) -> list[Case]:
    """Cases in which only one slot varies, and must not matter: one for each filling of the others.

    Raises:
        RequestError: when `vary` is no slot, or has only one word.

    Example:
        >>> cases = inv("{name} is a nurse.", vary="name", name={"women": ["Ann"], "men": ["Bo"]})
    """
    if vary not in slots:
        raise RequestError(f"checklist: expected the slot that varies, got {vary!r}; {nearest(vary, slots)}")
    alike: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for text, words, group in fill(template, **slots):
        alike.setdefault(tuple(w for name, w in words.items() if name != vary), []).append((text, group))
    if any(len(found) < 2 for found in alike.values()):
        raise RequestError(f"checklist: expected at least two words for {{{vary}}}, got one; add another")
    return [Case("INV", tuple(t for t, _ in f), groups=tuple(g for _, g in f)) for f in alike.values()]


def inv_under(shift: Shift, texts: Sequence[str], severity: int, seed: int = 0) -> list[Case]:
    """Cases in which a text and its shifted form must get the same class; unchanged texts make none.

    Raises:
        RequestError: when the shift may change labels.
    """
    if not shift.label_preserving:
        raise RequestError(
            f"checklist: expected a shift that keeps labels, {shift.name} does not; choose another"
        )
    batch = Batch(tuple(texts), torch.zeros(len(texts), dtype=torch.long), torch.arange(len(texts)))
    pairs = zip(texts, shift(batch, severity, Draws(seed)).x, strict=True)
    return [Case("INV", (old, str(new))) for old, new in pairs if old != new]


def directional(texts: Iterable[str], change: Callable[[str], str], label: int, rises: bool) -> list[Case]:
    """Cases in which a change may only raise, or only lower, the probability of a class.

    Example:
        >>> cases = directional(["It works."], lambda t: t + " I love it.", label=1, rises=True)
    """
    return [Case("DIR", (text, change(text)), label, rises) for text in texts]


def evaluate(cases: Sequence[Case], predict: Predict, tolerance: float = TOLERANCE) -> Outcome:
    """Ask a model about all cases at once.

    Args:
        cases: at least one.
        predict: texts -> probabilities (N, C).
        tolerance: how far a probability may move the wrong way in a directional test.

    Raises:
        RequestError: without cases, or when `predict` returns no such table, or one without a label's class.

    Example:
        >>> evaluate(mft("{w}!", 1, w=["good"]), lambda texts: [[0.1, 0.9]] * len(texts)).failure_rate
        0.0
    """
    if not cases:
        raise RequestError("checklist: expected at least one case, got none; fill a template first")
    texts = list(dict.fromkeys(text for case in cases for text in case.texts))
    row = {text: i for i, text in enumerate(texts)}
    table = _probabilities(predict(texts), len(texts), max(c.label or 0 for c in cases))
    wrong: list[list[bool]] = [_wrong(case, table[[row[t] for t in case.texts]], tolerance) for case in cases]
    kinds: dict[str, list[bool]] = {}
    groups: dict[str, list[bool]] = {}
    for case, found in zip(cases, wrong, strict=True):
        kinds.setdefault(case.kind, []).append(any(found))
        for group, bad in zip(case.groups, found, strict=False):
            if group:
                groups.setdefault(group, []).append(bad)
    rates = {group: float(np.mean(found)) for group, found in groups.items()}
    return Outcome(
        failure_rate=float(np.mean([any(found) for found in wrong])),
        by_kind={kind: float(np.mean(found)) for kind, found in kinds.items()},
        by_group=rates,
        max_group_gap=max(rates.values()) - min(rates.values()) if len(rates) > 1 else None,
        failures=tuple(case for case, found in zip(cases, wrong, strict=True) if any(found)),
    )


def _probabilities(table: Any, count: int, label: int) -> NDArray[np.float64]:
    found = np.asarray(table.detach().cpu() if isinstance(table, torch.Tensor) else table, dtype=np.float64)
    if found.ndim != 2 or len(found) != count or found.shape[1] <= label or not np.isfinite(found).all():
        raise RequestError(
            f"checklist: expected finite probabilities of shape ({count}, C) with C > {label}, got "
            f"{found.shape}; let predict return a row a text and a column a class"
        )
    return found


def _wrong(case: Case, table: NDArray[np.float64], tolerance: float) -> list[bool]:
    """Which of a case's texts fail."""
    if case.kind == "DIR":
        move = float(table[1, case.label] - table[0, case.label])
        return [False, (move if case.rises else -move) < -tolerance]
    classes = table.argmax(axis=1).tolist()
    if case.kind == "MFT":
        return [c != case.label for c in classes]
    most = max(dict.fromkeys(classes), key=classes.count)  # the earliest class wins a tie
    return [c != most for c in classes]
