"""Replies on disk, a JSON line each: appended whole, read back after any crash."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping

from filelock import FileLock

from tether.files import cache_dir, disk_errors
from tether.shifts.generated.writer import Reply, Task


class Store:
    """The replies of one model.

    Lines are only ever added. A line cut off by a kill is skipped when read, and the next writer begins a new
    line after it. Of two lines with one key the first counts, so what was once read stays true.

    Args:
        model: its id.
    """

    def __init__(self, model: str) -> None:
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", model)[-60:]
        mark = hashlib.blake2b(model.encode(), digest_size=6).hexdigest()
        self.model = model
        self.path = cache_dir() / "generated" / f"{name}-{mark}.jsonl"

    def read(self) -> dict[str, Reply]:
        """Every whole reply, by key."""
        found: dict[str, Reply] = {}
        if not self.path.is_file():
            return found
        with self.path.open("rb") as f:
            for line in f:
                try:
                    row = json.loads(line)
                    reply = Reply(str(row["text"]), bool(row["finished"]))
                    found.setdefault(str(row["key"]), reply)
                except (ValueError, KeyError, TypeError):  # cut off by a kill, or half of one
                    continue
        return found

    def add(self, replies: Mapping[Task, Reply]) -> None:
        """Append replies and flush them to disk.

        Raises:
            RequestError: the disk is full or not writable.
        """
        rows = [
            {"key": t.key, "prompt": t.prompt.id, "model": self.model, "text": r.text, "finished": r.finished}
            for t, r in replies.items()
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)  # ASCII: a cut never splits a character
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.add"), self.path.open("ab+") as f:
                if f.tell():
                    f.seek(-1, os.SEEK_END)
                    if f.read(1) != b"\n":
                        text = "\n" + text
                f.write(text.encode())
                f.flush()
                os.fsync(f.fileno())

    def turn(self) -> FileLock:
        """Held while generating: a second process waits, and then finds what the first one made."""
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.turn")
