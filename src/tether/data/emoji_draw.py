"""A drawing style: its icons by code points, and one icon drawn as a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tether.data.emoji_labels import points
from tether.errors import RequestError
from tether.files import read_json

SIZE = 128  # pixels a side; noto's own grid, and above what the small models read


@dataclass(frozen=True)
class Style:
    """An icon set in Iconify's JSON form.

    Attributes:
        icons: `icons.json`: each icon's SVG body, aliases, and the default width and height.
        names: code points without variation selectors to an icon's name.
    """

    icons: Mapping[str, Any]
    names: Mapping[str, str]

    def has(self, code: str) -> bool:
        """Whether the style draws the emoji with these points."""
        name = self.names.get(code)
        return name is not None and (name in self.icons["icons"] or name in self.icons.get("aliases", {}))


def read_style(folder: Path, names: Mapping[str, str] | None = None) -> Style:
    """Read an unpacked `@iconify-json` package.

    Args:
        folder: the package's folder.
        names: used where the package has none of its own. noto-v1 is such a one; Iconify names an emoji's
            icon by its CLDR name in every set, so noto's names serve it. An emoji renamed since is then
            missing, never mistaken.
    """
    icons, chars = read_json(folder / "icons.json"), read_json(folder / "chars.json")
    own = {points(code): name for code, name in sorted(chars.items())}
    return Style(icons, own or dict(names or {}))


def svg(style: Style, code: str) -> str:
    """The emoji as an SVG of `SIZE` pixels a side, a picture that is not square in its middle.

    Raises:
        KeyError: when the style does not draw it; see `Style.has`.
    """
    name, flips = style.names[code], 0
    while name not in style.icons["icons"]:  # an alias may be an alias of an alias
        alias = style.icons["aliases"][name]
        if set(alias) - {"parent", "hFlip"}:
            raise RequestError(
                f"{style.icons['prefix']}: expected the icon {name!r} to be another one, perhaps mirrored; "
                f"it comes with {sorted(alias)}. The set has changed; the pinned version has no such icon."
            )
        flips += bool(alias.get("hFlip", False))
        name = alias["parent"]
    icon = style.icons | style.icons["icons"][name]  # an icon's own size and offset go before the set's
    left, top, width, height = (
        icon.get(k, d) for k, d in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    body = icon["body"]
    if flips % 2:
        body = f'<g transform="translate({2 * left + width} 0) scale(-1 1)">{body}</g>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{SIZE}" height="{SIZE}" viewBox="{left} {top} {width} {height}">{body}</svg>'
    )


def draw(source: str) -> bytes:
    """Draw an SVG on white; an RGB PNG.

    Raises:
        RequestError: when resvg-py is not installed.
    """
    try:
        import resvg_py
    except ModuleNotFoundError as e:
        raise RequestError(
            "drawing the emoji needs the extra `bench`; install it with: pip install 'tether[bench]'"
        ) from e
    # Without the system's fonts no letter can look different on another machine; the icons use none.
    drawn = resvg_py.svg_to_bytes(svg_string=source, background="#ffffff", skip_system_fonts=True)
    file = io.BytesIO()
    Image.open(io.BytesIO(drawn)).convert("RGB").save(file, format="PNG")
    return file.getvalue()
