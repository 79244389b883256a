"""How a column becomes what a model reads: texts as they are, pictures decoded to pixels."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from tether.errors import RequestError

# Pillow warns from this size on (a quarter of a gigabyte as RGB) and refuses at twice that; here the first
# limit already refuses, because one such row costs more memory than a whole training run.
MAX_PIXELS = 89_478_485


class UnreadableError(Exception):
    """One row cannot be read; whoever knows the row turns it into a message or skips it."""


class Read(Protocol):
    """Turns raw column values into `Batch.x`."""

    @property
    def column(self) -> str:
        """The column whose values it reads."""

    @property
    def size(self) -> int | None:
        """Side of the pictures in pixels; None for texts, or where pictures keep their own."""

    @property
    def decodes(self) -> bool:
        """Whether reading a value takes long enough to be worth a thread."""

    @property
    def varies(self) -> bool:
        """Whether some samples take more work than others (texts, by their length)."""

    def lengths(self, values: Sequence[object]) -> NDArray[np.int64]:
        """How long each value is, (B,), in units of its own."""

    def digest(self, value: object) -> bytes:
        """16 bytes that tell this value's content from others; raises UnreadableError."""

    def stamp(self, value: object) -> tuple[bytes, float] | None:
        """16 bytes that change with the value's file, and that file's time; None for a value without one."""

    def __call__(self, values: Sequence[object]) -> Tensor | tuple[str, ...]:
        """The values as pixels (B, 3, H, W) or as B strings; raises UnreadableError."""

    def at(self, size: int) -> Read:
        """The same reader for pictures of this side; texts do not care."""


@dataclass(frozen=True)
class Texts:
    """Strings, as they stand in the column; they have no size."""

    column: str
    size: None = None
    decodes: Literal[False] = False
    varies: Literal[True] = True

    def lengths(self, values: Sequence[object]) -> NDArray[np.int64]:
        """Characters."""
        return np.asarray([len(_string(value)) for value in values], np.int64)

    def digest(self, value: object) -> bytes:  # noqa: D102 (said by Read)
        return hashlib.blake2b(_string(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def stamp(self, value: object) -> None:  # noqa: D102
        return None

    def __call__(self, values: Sequence[object]) -> tuple[str, ...]:  # noqa: D102
        return tuple(_string(value) for value in values)

    def at(self, size: int) -> Texts:  # noqa: D102
        return self


@dataclass(frozen=True)
class Pictures:
    """Paths, bytes, or {"path" or "bytes": ..., "border": pixels to cut off each side}, decoded with Pillow.

    A picture is resized to a square as a whole, so its sides may be scaled differently; nothing is cropped
    away. Bilinear with Pillow's antialiasing.

    Attributes:
        root: the folder that relative paths start from.
        size: side in pixels, or None to keep each picture's own.
    """

    column: str
    root: Path
    size: int | None = None
    decodes: Literal[True] = True
    varies: Literal[False] = False

    def lengths(self, values: Sequence[object]) -> NDArray[np.int64]:
        """All alike: they are resized to one side."""
        return np.ones(len(values), np.int64)

    def digest(self, value: object) -> bytes:
        """Digest of the decoded pixels, so the same picture in another file format counts as the same."""
        picture = self._picture(value)
        head = f"{picture.width}x{picture.height}:".encode()
        return hashlib.blake2b(head + picture.tobytes(), digest_size=16).digest()

    def __call__(self, values: Sequence[object]) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1], RGB."""
        pictures = [self._picture(value) for value in values]
        if self.size is not None:
            side = (self.size, self.size)
            pictures = [p.resize(side, Image.Resampling.BILINEAR) for p in pictures]
        sizes = sorted({p.size for p in pictures})
        if len(sizes) > 1:
            raise RequestError(
                f"expected pictures of one size, came {len(sizes)} sizes, {sizes[0]} and {sizes[1]} among "
                "them; set data.size to the side in pixels"
            )
        if not pictures:
            return torch.zeros(0, 3, self.size or 1, self.size or 1)
        stacked = np.stack([np.asarray(p) for p in pictures])  # (B, H, W, 3) uint8
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().float() / 255

    def at(self, size: int) -> Pictures:  # noqa: D102
        return Pictures(self.column, self.root, size)

    def stamp(self, value: object) -> tuple[bytes, float] | None:
        """Name, size and time of the file, with the border cut off."""
        border = value.get("border") if isinstance(value, dict) else None
        if isinstance(value, dict) and not value.get("bytes"):
            value = value.get("path")
        if not isinstance(value, str):
            return None
        try:
            stat = (self.root / value).stat()
        except (OSError, ValueError):
            return b"", float("inf")  # a file that is not there is as young as can be: never trusted
        text = repr((value, stat.st_size, stat.st_mtime_ns, border))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), stat.st_mtime

    def _picture(self, value: object) -> Image.Image:
        picture = _decode(self._bytes(value))
        border = value.get("border") if isinstance(value, dict) else None
        if not border:
            return picture
        if 2 * border >= min(picture.size):
            raise UnreadableError(
                f"{picture.width}x{picture.height} pixels leave nothing within a border of {border}"
            )
        return picture.crop((border, border, picture.width - border, picture.height - border))

    def _bytes(self, value: object) -> bytes:
        if isinstance(value, dict):  # how `datasets` stores its Image feature
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str):
            raise UnreadableError(f"expected a path or the bytes of a picture, came {_kind(value)}")
        try:
            return (self.root / value).read_bytes()
        except (OSError, ValueError) as e:  # ValueError: a null byte in the path
            raise UnreadableError(f"cannot open the file {value!r} ({getattr(e, 'strerror', e)})") from e


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise UnreadableError(f"expected a text, came {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return "nothing (null)" if value is None else f"a value of type {type(value).__name__}"


def _decode(raw: bytes) -> Image.Image:
    """Upright RGB, 8 bits a channel, transparency laid on white."""
    try:
        with Image.open(io.BytesIO(raw)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadableError(f"{picture.width}x{picture.height} pixels are beyond {MAX_PIXELS}")
            upright = ImageOps.exif_transpose(picture)
            return _rgb(upright)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise UnreadableError(f"too large to decode safely, beyond {MAX_PIXELS} pixels") from e
    except (OSError, SyntaxError, ValueError, EOFError) as e:  # Pillow's ways to say that a file is corrupt
        raise UnreadableError(f"not a whole picture ({type(e).__name__})") from e


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow's own conversion would clip 16 bits to white
        return Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise UnreadableError(f"expected 8 or 16 bits a channel, came Pillow mode {picture.mode!r}")
    if "A" in picture.mode or "transparency" in picture.info:
        drawn = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    return picture.convert("RGB")
