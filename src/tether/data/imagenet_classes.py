"""From a class folder's name to the class's position in the model's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from tether.data.examples import Ints
from tether.errors import RequestError, nearest


@dataclass(frozen=True)
class ClassIndex:
    """The model's class order.

    Attributes:
        names: class names in that order: a wnid each, or what the user's list says.
        positions: wnid, name, and name without case or spaces -> position.
    """

    names: tuple[str, ...]
    positions: Mapping[str, int]

    @classmethod
    def of(cls, lines: tuple[str, ...]) -> Self:
        """Read lines such as "n01440764" or "n01440764 tench, Tinca tinca".

        Raises:
            RequestError: when two lines give one wnid.
        """
        positions: dict[str, int] = {}
        for i, line in enumerate(lines):
            wnid, _, rest = line.partition(" ")
            if is_wnid(wnid):
                if positions.setdefault(wnid, i) != i:
                    raise RequestError(f"data.classes: expected each wnid once, {wnid} is in two lines")
                # Two classes share a name in the usual lists ("crane", "maillot"): the first would take both.
                for name in (_folded(rest), _folded(rest.split(",")[0])):
                    if name:
                        positions[name] = -1 if positions.get(name, i) != i else i
            else:
                positions[_folded(line)] = i
        names = tuple(line.partition(" ")[0] if is_wnid(line.partition(" ")[0]) else line for line in lines)
        return cls(names, positions)

    def position(self, folder: Path) -> int:
        """The class that a folder is for: by its wnid, its name, or its number in the model's order.

        ImageNet-V2 names folders by number; sorted as text, 10 would come before 2.

        Raises:
            RequestError: when no class fits, or several.
        """
        name = folder.name
        if name.isdigit() and name not in self.positions:
            if int(name) < len(self.names):
                return int(name)
            raise RequestError(
                f"{folder}: there is no class number {int(name)} in the {len(self.names)} of data.classes"
            )
        found = self.positions.get(name, self.positions.get(_folded(name)))
        if found is None:
            hint = nearest(name, self.names) if len(self.names) <= 30 else "give the full class list"
            raise RequestError(f"{folder}: {name!r} is no class of data.classes; {hint}")
        if found < 0:
            raise RequestError(f"{folder}: several classes are named {name!r}; name the folder by its wnid")
        return found

    def asked(self, positions: Iterable[int]) -> Ints:
        """The answer of a set that asks for these classes alone, (C,): each is itself, others are -1."""
        answer = np.full(len(self.names), -1, dtype=np.int64)
        chosen = list(positions)
        answer[chosen] = chosen
        return answer


def is_wnid(word: str) -> bool:
    """Whether a word is a WordNet id such as "n01440764"."""
    return len(word) == 9 and word[0] == "n" and word[1:].isdigit()


def _folded(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
