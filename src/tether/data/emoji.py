"""The emoji benchmark: 17 classes of things, each drawing style a domain, no emoji in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tether.data.emoji_draw import Style, draw, read_style, svg
from tether.data.emoji_labels import CLASSES, Emoji, labelled
from tether.data.package import Package
from tether.data.packages import (
    EMOJIBASE,
    FLUENT_CONTRAST,
    FLUENT_FLAT,
    NOTO,
    NOTO_V1,
    OPENMOJI,
    TWEMOJI,
    fetch,
)
from tether.data.stratify import stratified
from tether.files import read_json
from tether.progress import bar

HOME, VALIDATION = "noto", "noto-v1"
STYLES: Mapping[str, Package] = {
    HOME: NOTO,
    VALIDATION: NOTO_V1,
    "twemoji": TWEMOJI,
    "openmoji": OPENMOJI,
    "fluent-emoji-flat": FLUENT_FLAT,
    "fluent-emoji-high-contrast": FLUENT_CONTRAST,
}
PACKAGES = (EMOJIBASE, *STYLES.values())
TESTS = tuple(style for style in STYLES if style not in (HOME, VALIDATION))
SEED = 0  # the recipe's own: every table built anywhere is the same
TEST_SHARE = 1 / 3  # of the identities
VALIDATION_SHARE = 1 / 9  # of the identities: a sixth of what the tests leave


def build() -> dict[str, list[Any]]:
    """Columns image (PNG bytes), label, domain, split, name, identity.

    An emoji takes part when noto and all four test styles draw it, so the test sets show the same things and
    differ in style alone. noto-v1 is older and draws about two thirds of them; where it lacks an emoji,
    `ood_val` does.
    """
    styles = _styles()
    emoji = [e for e in _emoji() if all(styles[s].has(e.points) for s in (HOME, *TESTS))]
    split = divide(emoji, {e.points for e in emoji if styles[VALIDATION].has(e.points)})
    rows = [
        (part, style, e)
        for part, domains in (
            ("train", (HOME,)),
            ("id_val", (HOME,)),
            ("id_test", (HOME,)),
            ("ood_val", (VALIDATION,)),
            ("ood_test", TESTS),
        )
        for style in domains
        for e in emoji
        if split[e.identity] == _PURPOSE[part] and styles[style].has(e.points)
    ]
    columns: dict[str, list[Any]] = {
        "image": [],
        "label": [e.label for _, _, e in rows],
        "domain": [style for _, style, _ in rows],
        "split": [part for part, _, _ in rows],
        "name": [e.name for _, _, e in rows],
        "identity": [e.identity for _, _, e in rows],
    }
    with bar("drawing emoji", len(rows)) as progress:
        for _, style, e in rows:
            columns["image"].append(draw(svg(styles[style], e.points)))
            progress.advance()
    return columns


_PURPOSE = {"train": "train", "id_val": "val", "ood_val": "val", "id_test": "test", "ood_test": "test"}


def divide(emoji: Sequence[Emoji], validatable: set[str]) -> dict[str, str]:
    """Identity to "train", "val" or "test", drawn at random within each class.

    Args:
        emoji: all of them.
        validatable: points of those that the OOD validation style draws. An identity of which it draws none
            validates nothing, or the two validation sets would differ in more than style.

    Example:
        >>> dogs = [Emoji(f"dog {i}", str(i), str(i), "mammal") for i in range(9)]
        >>> sorted(divide(dogs, {e.points for e in dogs}).values()).count("test")
        3
    """
    labels = {e.identity: e.label for e in emoji}
    identities = np.array(list(labels), dtype=object)
    codes = np.array([list(CLASSES).index(label) for label in labels.values()], dtype=np.int64)
    rng = np.random.default_rng(SEED)
    purpose = np.full(len(identities), "train", dtype=object)
    purpose[stratified(codes, round(TEST_SHARE * len(codes)), rng)] = "test"
    may = {e.identity for e in emoji if e.points in validatable}
    free = np.flatnonzero([p == "train" and i in may for p, i in zip(purpose, identities, strict=True)])
    purpose[free[stratified(codes[free], round(VALIDATION_SHARE * len(codes)), rng)]] = "val"
    return dict(zip(identities.tolist(), purpose.tolist(), strict=True))


def _emoji() -> list[Emoji]:
    folder = fetch(EMOJIBASE) / "package"
    subgroups = read_json(folder / "meta" / "groups.json")["subgroups"]
    return labelled(read_json(folder / "en" / "data.json"), subgroups)


def _styles() -> dict[str, Style]:
    styles: dict[str, Style] = {}
    for name, package in STYLES.items():
        styles[name] = read_style(fetch(package) / "package", styles[HOME].names if styles else None)
    return styles
