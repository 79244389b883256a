"""Words of the user's own that a text shift must leave as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts.draws import Draws
from tether.shifts.shift import Shift

_SLOT = re.compile(r"\[(\d+)\]")


def protected(shift: Shift, words: Sequence[str]) -> Shift:
    """The same shift, in which these words come through unchanged and in order.

    While the shift runs, each of them is a placeholder such as [0], which no text shift alters: so this
    holds for every text shift, of the package or not. Should one lose a placeholder all the same, the text
    is given back as it was. Name and family stay, and so do roles and draws.

    Args:
        shift: a shift of texts.
        words: such as the names of the classes. Capitals do not matter; whole words only ("art" does not
            protect "start"); an entry may be several words.

    Raises:
        RequestError: when the shift is one of images, or there is no word.

    Example:
        >>> calm = protected(get("elongation"), ["good", "bad"])
        >>> calm(Batch(("a good, good film",), y, ids), 5, Draws(0)).x
        ('a good, good fiiiilm',)
    """
    if shift.modality != "text":
        raise RequestError(
            f"{shift.name}: expected a shift of texts to protect words from, got one of {shift.modality}s; "
            "leave protect out"
        )
    if isinstance(words, str) or not words or not all(isinstance(w, str) and w.strip() for w in words):
        raise RequestError(
            f"{shift.name}: expected a list of words to protect, got {words!r}; try ['good', 'bad']"
        )
    longest_first = sorted((w.split() for w in words), key=lambda parts: -len(" ".join(parts)))
    any_of = "|".join(r"\s+".join(map(re.escape, parts)) for parts in longest_first)
    # A class may be called "c++": its last character is no letter, so \b would not do.
    pattern = re.compile(rf"(?<!\w)(?:{any_of})(?!\w)", re.IGNORECASE)

    def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
        texts = [str(t) for t in batch.x]
        hidden = [_hide(text, pattern) for text in texts]
        out = shift.apply(replace(batch, x=tuple(text for text, _ in hidden)), severity, draws)
        shown = (
            _show(str(new), slots, old) for new, (_, slots), old in zip(out.x, hidden, texts, strict=True)
        )
        return replace(out, x=tuple(shown))

    return replace(shift, apply=apply)


def _hide(text: str, pattern: re.Pattern[str]) -> tuple[str, dict[int, str]]:
    """Placeholders for the words, numbered from the first number that the text does not use itself."""
    number = 1 + max((int(m.group(1)) for m in _SLOT.finditer(text)), default=-1)
    slots: dict[int, str] = {}

    def slot(m: re.Match[str]) -> str:
        slots[number + len(slots)] = m.group()
        return f"[{number + len(slots) - 1}]"

    return pattern.sub(slot, text), slots


def _show(text: str, slots: dict[int, str], old: str) -> str:
    """The words back in their places; the old text when a placeholder is lost, doubled or moved."""
    numbers = [int(m.group(1)) for m in _SLOT.finditer(text)]
    if [n for n in numbers if n in slots] != list(slots):
        return old
    return _SLOT.sub(lambda m: slots.get(int(m.group(1)), m.group()), text)
