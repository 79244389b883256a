"""What a command of several runs is asked: which seeds, which folder, and a name for the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ConfigLike = str | Path | Mapping[str, Any]


def seed_numbers(seeds: int | Sequence[int]) -> list[int]:
    """Which seeds: so many, counted from 0, or those given."""
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)


def seeds_text(seeds: int | Sequence[int]) -> str:
    """The same as the command line takes them."""
    return str(seeds) if isinstance(seeds, int) else ",".join(map(str, seeds))


def output_of(overrides: Sequence[str], output: str | None) -> tuple[list[str], str | None]:
    """The overrides without `output=`, and the folder: `output`, else what the last of them said.

    Of one run `output` is the folder; here it is the folder of all runs.

    Example:
        >>> output_of(["seed=1", "output=runs/a"], None)
        (['seed=1'], 'runs/a')
    """
    named = [o.partition("=")[2] for o in overrides if o.startswith("output=")]
    return [o for o in overrides if not o.startswith("output=")], output or (named[-1] if named else None)


def stem_of(config: ConfigLike) -> str:
    """A word for the config in the name of a folder."""
    return Path(str(config)).stem if isinstance(config, str | Path) else "config"


def shown(config: ConfigLike) -> str:
    """The config as it stands in a command."""
    return str(config) if isinstance(config, str | Path) else "CONFIG"
