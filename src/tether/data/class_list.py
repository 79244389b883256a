"""A class order out of a text file: a class a line."""

from __future__ import annotations

from pathlib import Path

from tether.errors import RequestError


def class_list(given: tuple[str, ...] | str | None) -> tuple[str, ...] | None:
    """The class order: as given, or the lines of the file it names; None stays None.

    Raises:
        RequestError: when there is no such file, or a class is named twice.
    """
    if given is None or isinstance(given, tuple):
        names = given
    else:
        path = Path(given).expanduser()
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as e:
            raise RequestError(
                "data.classes: expected a list of names, or a UTF-8 text file with a class a line, but "
                f"cannot read {str(path)!r} ({e})"
            ) from e
        names = tuple(line.strip() for line in lines if line.strip())
    if names is not None and len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise RequestError(f"data.classes: expected each class once, came {twice} several times")
    return names
