"""Figures as SVG text that takes the colours of the page it stands in.

Ink is drawn in one marker colour that becomes `currentColor`, and nothing is drawn behind it: so a picture is
black on a light page, white on a dark one, and stays text that can be searched and read out.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#010203"  # no palette holds it, so it can be replaced safely
# Okabe and Ito's colour-blind safe palette, without the black and yellow that one page or the other swallows.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
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
    "grid.alpha": 0.2,
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
        m: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, m in enumerate(methods)
    }


def draw(name: str, label: str, size: tuple[float, float], paint: Callable[[Figure], None]) -> str:
    """Paint a figure and return it as an `<svg>` element.

    Args:
        name: prefix of its element ids, unique on a page (letters, digits, dashes).
        label: what it shows, for readers who cannot see it.
        size: width and height in inches; the page scales it.
        paint: draws into the figure.
    """
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), name, label)


def _inline(svg: str, name: str, label: str) -> str:
    """From a document of its own to an element of a page: no prologue, own ids, scaled by its view box."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)
    svg = svg.replace(INK, "currentColor")
    head, rest = svg.split(">", 1)
    width = re.search(r'width="([\d.]+)pt"', head)
    limit = f"max-width:{float(width[1]) * 4 / 3:.0f}px" if width else ""
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    text = html.escape(label, quote=True)
    return f'{head} role="img" aria-label="{text}" style="{limit}"><title>{text}</title>{rest.strip()}'
