"""Files that are never opened: what would run code when read, and links that leave the given folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tether.errors import RequestError

# Each of these is a pickle, or may hold one; unpickling runs whatever its author put there.
PICKLES = (".pkl", ".pickle", ".dill", ".joblib", ".pt", ".pth", ".ckpt")
ARRAYS = (".npy", ".npz")


def refuse_code(path: Path) -> None:
    """Refuse a file that could run code when it is read.

    Raises:
        RequestError: for a pickle by its name; for a numpy file, which may hold one.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise RequestError(
            f"data: {path} is a pickle by its name, and reading a pickle runs the code in it; expected a "
            "table (CSV, JSONL, Parquet), pictures or a folder saved by `datasets`. Convert it where you "
            "trust it."
        )
    if suffix in ARRAYS:
        kind = "holds pickled objects and is never read" if _has_objects(path) else "is an array, not a table"
        raise RequestError(
            f"data: {path} {kind}; load arrays yourself and give them to tether.data.from_objects"
        )


def _has_objects(path: Path) -> bool:
    """Whether a .npy file is of object dtype; only its header is read, and nothing is unpickled."""
    from numpy.lib import format as npy

    try:
        with path.open("rb") as f:
            major = npy.read_magic(f)[0]
            read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
            return bool(read(f)[2].hasobject)
    except (OSError, ValueError):
        return False


def refuse_escape(root: Path, path: Path) -> None:
    """Refuse a link below `root` that leads out of it.

    Raises:
        RequestError: names the link and where it leads.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise RequestError(
            f"data: {path} is a link to {path.resolve()}, outside of {root}; expected plain files below one "
            "folder. Copy what it points to, or name that folder as data.path."
        )


def refuse_outside(where: str, row: int, name: str) -> None:
    """Refuse a file name out of a published table that would leave the benchmark's folder.

    Raises:
        RequestError: on an absolute path or a `..`.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise RequestError(
            f"{where}: row {row} names the file {name!r}, outside of the folder; expected a path below it. "
            "Check where the table came from."
        )
