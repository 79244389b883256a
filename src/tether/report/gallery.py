"""Samples on the page: what the shifts look like, and those on which the methods disagree.

Pictures and texts come from runs, so from anyone: only whole PNGs are shown, texts are cut, and what is too
much for the page is counted instead.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tether.evaluation.headline import ADVERSARIAL, KINDS, SetKey
from tether.evaluation.metrics import Array
from tether.report.records import Predictions, Run, Sample

SAMPLE_BYTES: Final = 700_000
DISAGREEMENT_BYTES: Final = 700_000
_A_SET = 3  # of a set, to show a shift
_MOST = 24  # disagreements; one looks at a screen or two of them
_MOST_CLEAN = 18  # of those without a corruption, so that the others find room
_CHARACTERS = 600  # of a text; the reader wants its tone, not its end
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Budget:
    """Bytes that samples may take of the page, and how many found no room."""

    left: int
    left_out: int = 0

    def takes(self, shown: Shown) -> bool:
        """Whether there is room for this one, which then is taken."""
        size = len(shown.image or "") + len((shown.text or "").encode())
        if size > self.left:
            self.left_out += 1
            return False
        self.left -= size
        return True


@dataclass(frozen=True)
class Shown:
    """A sample as the page has it: a text or a base64 PNG, and its class's name."""

    text: str | None
    image: str | None
    name: str


@dataclass(frozen=True)
class Answer:
    """What some methods took a sample for, each with its confidence as a fraction, surest first."""

    name: str
    right: bool
    methods: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Disagreement:
    """A sample with the methods' answers, the right one first."""

    key: SetKey
    id: int
    shown: Shown
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Gallery:
    """Samples of each set, or disagreements, and how many more there are."""

    sets: tuple[tuple[SetKey, tuple[Shown, ...]], ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    left_out: int = 0
    reason: str = ""


def examples_of(runs: Sequence[Run], classes: Sequence[str], limit: int = SAMPLE_BYTES) -> Gallery:
    """Up to three samples of each set: the first of every set before the second of any."""
    given = next((run.samples for run in runs if run.samples), ())
    by_set: dict[SetKey, list[Sample]] = {}
    for s in given:
        if usable(s):
            by_set.setdefault(s.key, []).append(s)
    kept: dict[SetKey, list[Shown]] = {key: [] for key in sorted(by_set, key=_order)}
    budget = Budget(limit)
    for turn in range(_A_SET):
        for key, mine in kept.items():
            if turn < len(by_set[key]) and budget.takes(shown := _shown(by_set[key][turn], classes)):
                mine.append(shown)
    return Gallery(tuple((k, tuple(v)) for k, v in kept.items() if v), left_out=budget.left_out)


def disagreements_of(runs: Sequence[Run], classes: Sequence[str], limit: int = DISAGREEMENT_BYTES) -> Gallery:
    """Samples to which the methods give different answers, one set after the other in turn.

    A method speaks through its first seed. Of a set those come first on which the methods are most evenly
    split between right and wrong. Adversarial sets are left out: there every method has its own pictures.
    """
    speakers = list({run.method: run for run in reversed(runs)}.values())[::-1]
    if len(speakers) < 2:
        return Gallery(reason="One method alone has nobody to disagree with.")
    found: dict[tuple[SetKey, int], Sample] = {}
    for run in runs:
        for s in run.samples:
            if s.id is not None and s.key.kind != ADVERSARIAL and usable(s):
                found.setdefault((s.key, s.id), s)
    if not found:
        return Gallery(
            reason="These runs kept no samples with ids, as older ones did not; evaluate them again."
        )
    tables = [{s.key: s for s in run.sets} for run in speakers]
    by_set: dict[SetKey, list[tuple[float, Disagreement]]] = {}
    for (key, number), sample in found.items():
        answers = _answers(speakers, tables, key, number, sample.label, classes)
        if len(answers) < 2:
            continue
        right = sum(len(a.methods) for a in answers if a.right)
        split = min(right, len(speakers) - right) / len(speakers)
        one = Disagreement(key, number, _shown(sample, classes), answers)
        by_set.setdefault(key, []).append((split, one))
    budget = Budget(limit)
    kept: list[Disagreement] = []
    queues = [sorted(by_set[k], key=lambda d: (-d[0], d[1].id)) for k in sorted(by_set, key=_order)]
    clean = [q for q in queues if q[0][1].key.severity == 0]
    for most, some in ((_MOST_CLEAN, clean), (_MOST, [q for q in queues if q not in clean])):
        for turn in range(max((len(q) for q in some), default=0)):
            for queue in some:
                if turn < len(queue) and len(kept) < most and budget.takes(queue[turn][1].shown):
                    kept.append(queue[turn][1])
    kept.sort(key=lambda d: _order(d.key))
    total = sum(len(q) for q in queues)
    reason = "" if kept else "On the samples that were kept, all methods give the same answers."
    return Gallery(disagreements=tuple(kept), left_out=total - len(kept), reason=reason)


def usable(sample: Sample) -> bool:
    """Whether a page may show it: a text, or whole base64 that starts like a PNG."""
    if isinstance(sample.text, str):
        return True
    try:
        return isinstance(sample.image, str) and base64.b64decode(sample.image, validate=True).startswith(
            _PNG
        )
    except (binascii.Error, ValueError):
        return False


def _answers(
    speakers: Sequence[Run],
    tables: Sequence[Mapping[SetKey, Predictions]],
    key: SetKey,
    number: int,
    label: int,
    classes: Sequence[str],
) -> tuple[Answer, ...]:
    """The methods by their answer; empty where one of them has not predicted this sample."""
    by_class: dict[int, list[tuple[str, float]]] = {}
    for run, sets in zip(speakers, tables, strict=True):
        row = _row(sets.get(key), number)
        if row is None:
            return ()
        guess = int(row.argmax())
        by_class.setdefault(guess, []).append((run.method, float(row[guess])))
    answers = [
        Answer(_name(c, classes), c == label, tuple(sorted(who, key=lambda m: -m[1])))
        for c, who in by_class.items()
    ]
    return tuple(sorted(answers, key=lambda a: (not a.right, -len(a.methods))))


def _row(s: Predictions | None, number: int) -> Array | None:
    """Probabilities of one sample, (C,); ids are sorted."""
    if s is None:
        return None
    at = int(np.searchsorted(s.ids, number))
    return s.probabilities[at] if at < len(s.ids) and s.ids[at] == number else None


def _shown(sample: Sample, classes: Sequence[str]) -> Shown:
    text = None if sample.text is None else sample.text[:_CHARACTERS]
    return Shown(text, sample.image if text is None else None, _name(sample.label, classes))


def _name(label: int, classes: Sequence[str]) -> str:
    return classes[label] if 0 <= label < len(classes) else str(label)


def _order(key: SetKey) -> tuple[int, SetKey]:
    return KINDS.index(key.kind) if key.kind in KINDS else len(KINDS), key
