"""Pictures below a folder, in an order that does not hang on the machine; links that leave it are refused."""

from __future__ import annotations

import os
from pathlib import Path

from tether.data.inputs import PICTURES
from tether.data.refuse import refuse_code, refuse_escape
from tether.errors import RequestError, nearest


def the_folder(given: str, key: str = "data.path") -> Path:
    """The folder at a path.

    Raises:
        RequestError: when there is none, with the nearest name beside it.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise RequestError(f"{key}: expected a folder, {str(path)!r} is a file; name its folder")
    beside = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    hint = nearest(path.name, beside) if beside else "nor are there other folders beside it"
    raise RequestError(f"{key}: there is no folder {str(path)!r}; {hint}")


def subfolders(root: Path, folder: Path) -> list[Path]:
    """Folders right below `folder`, sorted by name, the hidden ones left out.

    Raises:
        RequestError: at a link that leads out of `root`.
    """
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    for path in found:
        refuse_escape(root, path)
    return found


def pictures(root: Path, folder: Path) -> list[str]:
    """Every picture below `folder`, as paths relative to `root`, sorted.

    Raises:
        RequestError: at a link that leads out of `root`, or at a pickle among the pictures.
    """
    found: list[str] = []
    for place, folders, files in os.walk(folder):  # does not follow links to folders
        here = Path(place)
        for name in folders:
            refuse_escape(root, here / name)
        for name in files:
            path = here / name
            if name.startswith("."):
                continue
            refuse_escape(root, path)
            if path.suffix.lower() in PICTURES:
                found.append(path.relative_to(root).as_posix())
            else:
                refuse_code(path)
    return sorted(found)


def has_pictures(folder: Path) -> bool:
    """Whether a picture lies right in `folder`."""
    return any(p.suffix.lower() in PICTURES and p.is_file() for p in folder.iterdir())
