"""Figures that stand in a page, taking its colours, or in files of their own for slides and papers.

Ink is drawn in one marker colour that becomes `currentColor`, and nothing is drawn behind it: so a picture is
black on a light page, white on a dark one, and stays text that can be searched and read out.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tether.files import atomic

INK = "#010203"  # no palette holds it, so it can be replaced safely
# After Okabe and Ito's colour-blind safe palette, without its black and yellow, which one page or the other
# swallows; pink, sky and orange are darkened until they keep a contrast of 3:1 to both pages (WCAG 1.4.11).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46E9E", "#3A93C8", "#B87D00")
_MARKERS = "osD^vPX*"
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2)))

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text as text
    "svg.hashsalt": "tether",  # the same numbers give the same file
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor"),
        INK,
    ),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
}


@dataclass(frozen=True)
class Look:
    """How one method is drawn in every picture; colour never carries the meaning alone."""

    colour: str
    marker: str
    dash: Any


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A look for each method, by position; colours repeat after six, with other markers and dashes.

    Example:
        >>> looks(["finetune", "rdft"])["rdft"].marker
        's'
    """
    return {
        m: Look(COLOURS[i % len(COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, m in enumerate(methods)
    }


def clip(name: str, limit: int = 26) -> str:
    """A name that fits beside an axis: its middle gives way, and what cannot be printed becomes a mark.

    Direction overrides and control characters are among the latter: one name must not turn another's letters.

    Example:
        >>> clip("a" * 20 + "b" * 20, 9)
        'aaaa…bbbb'
    """
    safe = "".join(c if c.isprintable() else "\ufffd" for c in name)
    if safe.startswith("_"):
        safe = "\u200a" + safe  # a hair space: matplotlib keeps names with an underscore out of legends
    if len(safe) <= limit:
        return safe
    head = (limit - 1) // 2
    return f"{safe[:head]}…{safe[-(limit - 1 - head) :]}"


@dataclass(frozen=True)
class Drawing:
    """A figure that has not been painted yet.

    Attributes:
        name: prefix of its element ids, unique on a page (letters, digits, dashes).
        label: what it shows, for readers who cannot see it.
        size: width and height in inches; the page scales it.
        paint: draws into the figure.
    """

    name: str
    label: str
    size: tuple[float, float]
    paint: Callable[[Figure], None]

    def inline(self) -> str:
        """An `<svg>` element for a page."""
        with self._painted() as figure:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata=_NO_DATES["svg"])
        return _inline(buffer.getvalue(), self.name, self.label)

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write it on white as NAME.svg and NAME.png (200 dots an inch) into `folder`.

        Raises:
            RequestError: when the folder cannot be written.

        Example:
            >>> intervals_plot(comparison).save(Path("figures"), "intervals")  # doctest: +SKIP
        """
        return self.write(folder / f"{name}.svg"), self.write(folder / f"{name}.png")

    def write(self, path: Path) -> Path:
        """Write it on white; the suffix says the format, .svg or .png (200 dots an inch).

        Raises:
            RequestError: when the file cannot be written.
        """
        kind = path.suffix.removeprefix(".")
        with self._painted() as figure, atomic(path) as part:
            figure.savefig(part, format=kind, dpi=200, facecolor="white", metadata=_NO_DATES[kind])
        return path

    @contextmanager
    def _painted(self) -> Iterator[Figure]:
        """The figure, under our settings, which count while it is written too."""
        with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
            # A name in a script that the measuring font lacks; the reader's browser has the glyphs.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            figure = Figure(figsize=self.size, layout="constrained")
            FigureCanvasAgg(figure)
            self.paint(figure)
            yield figure


# The same numbers give the same file.
_NO_DATES: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


def _inline(svg: str, name: str, label: str) -> str:
    """From a document of its own to an element of a page: no prologue, own ids, scaled by its view box."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)
    svg = re.sub(r'\s(?:d|x|y)="[^"]*"', _rounded, svg)
    svg = svg.replace(INK, "currentColor")
    head, rest = svg.split(">", 1)
    width = re.search(r'width="([\d.]+)pt"', head)
    limit = f"max-width:{float(width[1]) * 4 / 3:.0f}px" if width else ""
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    text = html.escape(label, quote=True)
    return f'{head} role="img" aria-label="{text}" style="{limit}"><title>{text}</title>{rest.strip()}'


def _rounded(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point: half the page's weight, and nothing to see."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
