"""`log.jsonl`: a row a logged step, appended; after a crash, cut back to the step that is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tether.files import disk_errors, write_text


def append(path: Path, row: Mapping[str, object]) -> None:
    """Add one row; a reader may see all of it or none."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")


def cut(path: Path, step: int) -> None:
    """Drop the rows of steps that will run again, and a last row that was cut off."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] < step:
                kept.append(line)
        except (ValueError, KeyError):
            continue
    write_text(path, "".join(line + "\n" for line in kept))
