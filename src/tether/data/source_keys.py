"""Which keys of the `data:` config each source reads, so that a key it would ignore is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tether.errors import RequestError, nearest

SHARED = frozenset({"preset", "size", "limit", "on_error", "seed", "shifts"})  # a preset leaves these open
COLUMNS = frozenset({"text", "image", "label", "domain", "split", "group", "time"})
SPLITTING = frozenset({"ood_domains", "fractions", "split_time"})


@dataclass(frozen=True)
class Keys:
    """What a source needs and what else it reads, the shared keys aside."""

    needs: tuple[str, ...]
    reads: frozenset[str]


SOURCE_KEYS: Mapping[str, Keys] = {
    "table": Keys(("path", "label"), COLUMNS | SPLITTING | {"classes"}),
    "folder": Keys(("path",), frozenset({"classes", "ood_domains", "fractions"})),
    "hub": Keys(("name", "label"), COLUMNS | SPLITTING | {"classes", "revision", "subset", "splits"}),
    "saved": Keys(("path", "label"), COLUMNS | SPLITTING | {"classes", "splits"}),
    "wilds": Keys(("path", "dataset"), frozenset()),
    "imagenet": Keys(("path", "classes"), frozenset({"variants", "fractions"})),
    "objects": Keys((), frozenset({"classes", "fractions", "text", "image", "label", "split", "domain"})),
}


def check_keys(source: str, given: Mapping[str, Any]) -> None:
    """Refuse a source without the keys it needs, or with keys it does not read.

    Raises:
        RequestError: names the keys.
    """
    keys = SOURCE_KEYS[source]
    missing = [key for key in keys.needs if given.get(key) is None]
    if missing:
        raise RequestError(f"data: source {source!r} needs {' and '.join(missing)}; add it")
    known = SHARED | keys.reads | set(keys.needs) | {"source"}
    for key, value in given.items():
        if key not in known and value is not None:
            raise RequestError(f"data: source {source!r} does not read {key!r}; {nearest(key, known)}")
