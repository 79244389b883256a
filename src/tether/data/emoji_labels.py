"""Which emoji belongs to which class, and which ones are the same thing drawn for another person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The subgroups are those of Unicode's emoji-test.txt (CLDR); what is in none of them is left out, because it
# shows no object (symbols, flags, clocks) or belongs to a subgroup too small to learn.
CLASSES: Mapping[str, tuple[str, ...]] = {
    "mammal": ("animal-mammal",),
    "other animal": ("animal-bird", "animal-amphibian", "animal-reptile", "animal-marine", "animal-bug"),
    "plant": ("plant-flower", "plant-other"),
    "fruit and vegetable": ("food-fruit", "food-vegetable"),
    "prepared food": ("food-prepared", "food-asian"),
    "sweet or drink": ("food-sweet", "drink"),
    "ground vehicle": ("transport-ground",),
    "air or water vehicle": ("transport-air", "transport-water"),
    "building": ("place-building", "place-religious"),
    "sky and weather": ("sky-weather",),
    "clothing": ("clothing",),
    "sport": ("sport",),
    "music": ("music", "musical-instrument"),
    "tool": ("tool",),
    "face": (
        "face-smiling",
        "face-affection",
        "face-tongue",
        "face-hand",
        "face-neutral-skeptical",
        "face-sleepy",
        "face-unwell",
        "face-hat",
        "face-glasses",
        "face-concerned",
        "face-negative",
        "face-costume",
    ),
    "hand": (
        "hand-fingers-open",
        "hand-fingers-partial",
        "hand-single-finger",
        "hand-fingers-closed",
        "hands",
        "hand-prop",
    ),
    "person": (
        "person",
        "person-gesture",
        "person-role",
        "person-fantasy",
        "person-activity",
        "person-sport",
        "person-resting",
    ),
}
JOINER = "200d"
VARIATION = ("fe0e", "fe0f")  # drawn as text, drawn as a picture
SKIN_TONES = ("1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff")
# What may follow a joiner without changing what is shown: the signs of gender, and "facing right".
TURNS = ("2640", "2642", "27a1")
MAN, WOMAN, PERSON = "1f468", "1f469", "1f9d1"


@dataclass(frozen=True)
class Emoji:
    """One emoji with its class.

    Attributes:
        name: its CLDR short name, in English.
        points: its code points in hexadecimal, joined by "-", without variation selectors.
        identity: the points of what it shows; emoji of one identity must share a split.
        label: its class.
    """

    name: str
    points: str
    identity: str
    label: str


def labelled(entries: Sequence[Mapping[str, Any]], subgroups: Mapping[str, str]) -> list[Emoji]:
    """The emoji of the classes, in the entries' order (skin tones are not entries of their own).

    Args:
        entries: emojibase's `en/data.json`.
        subgroups: number to name, from emojibase's `meta/groups.json`.

    Example:
        >>> dog = {"label": "dog", "hexcode": "1F415", "subgroup": 34}
        >>> labelled([dog], {"34": "animal-mammal"})[0].label
        'mammal'
    """
    classes = {subgroup: label for label, names in CLASSES.items() for subgroup in names}
    found = []
    for entry in entries:
        # Regional indicators, the letters that flags are spelled with, have no subgroup.
        label = classes.get(subgroups.get(str(entry.get("subgroup")), ""))
        if label is not None:
            code = entry["hexcode"]
            found.append(Emoji(entry["label"], points(code), identity(code), label))
    return found


def points(code: str) -> str:
    """Code points in lower case without variation selectors, which styles write or leave out as they please.

    Example:
        >>> points("2600-FE0F")
        '2600'
    """
    return "-".join(p for p in code.lower().split("-") if p not in VARIATION)


def identity(code: str) -> str:
    """Code points of what is shown: without skin tone, gender and direction.

    A woman juggling and a man juggling differ by a hairline in most styles; with one in training and the
    other in a test, the test would ask for memory.

    Example:
        >>> identity("1F469-1F3FD-200D-1F52C") == identity("1F468-200D-1F52C")  # two scientists
        True
        >>> identity("1F3C3-200D-2642-FE0F-200D-27A1-FE0F")  # man running, facing right
        '1f3c3'
    """
    parts = [p for p in points(code).split("-") if p not in SKIN_TONES]
    kept = [p for i, p in enumerate(parts) if not _turns(parts, i)]
    # The man and the woman themselves stay two; before a joiner they are whoever has the role or the hair.
    if len(kept) > 1 and kept[0] in (MAN, WOMAN) and kept[1] == JOINER:
        kept[0] = PERSON
    return "-".join(kept)


def _turns(parts: Sequence[str], i: int) -> bool:
    if parts[i] == JOINER:
        return i + 1 < len(parts) and parts[i + 1] in TURNS
    return i > 0 and parts[i - 1] == JOINER and parts[i] in TURNS
