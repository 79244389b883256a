"""The preview sheet: what each shift does to a few samples, severities side by side, as one HTML page."""

from __future__ import annotations

import base64
import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from torch import Tensor

from tether.data.portray import strip
from tether.files import write_text

Texts = tuple[str, ...]
_WORDS = re.compile(r"\s+|[^\s\w]|\w+")


@dataclass(frozen=True)
class Panel:
    """One shift on the samples.

    Attributes:
        name: the shift's.
        family: and its role, as a line under the name.
        summary: what it does.
        severities: the columns; 0 is the sample itself.
        views: one per severity: pictures (N, 3, H, W) in [0, 1], or N strings.
        skipped: why it is not shown; then views are empty.
    """

    name: str
    family: str
    summary: str
    severities: tuple[int, ...] = ()
    views: tuple[Tensor | Texts, ...] = ()
    skipped: str = ""

    @property
    def strip(self) -> str:
        """All pictures as one, samples down, severities across; a data URI, "" for texts."""
        pictures = [v for v in self.views if isinstance(v, Tensor)]
        return strip(pictures) if pictures else ""

    @property
    def rows(self) -> list[list[Markup]]:
        """Texts a sample, one per severity; words that changed are marked."""
        texts = [v for v in self.views if not isinstance(v, Tensor)]
        return [[marked(texts[0][i], t[i]) for t in texts] for i in range(len(texts[0]))] if texts else []


def marked(before: str, after: str) -> Markup:
    """The new text as safe HTML, with what differs from the old one in <mark>, and losses as <del>.

    Example:
        >>> str(marked("a good day", "a god day"))
        'a <del>good</del><mark>god</mark> day'
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    out = []
    for kind, a, b, c, d in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[a:b])), escape("".join(new[c:d]))
        if kind == "equal":
            out.append(come)
        else:
            out.append(Markup("<del>{}</del>").format(gone) if gone else Markup(""))
            out.append(Markup("<mark>{}</mark>").format(come) if come else Markup(""))
    return Markup("").join(out)


def write_sheet(panels: Sequence[Panel], target: Path, title: str, command: str) -> Path:
    """Write the page; it loads nothing and its policy forbids the network.

    Args:
        panels: in the order shown; those of one family should be neighbours.
        target: such as `sheet.html`.
        title: its heading.
        command: the command line that made it.
    """
    room = resources.files("tether.report")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (room / "sheet.html.j2").read_text(encoding="utf-8")
    )
    css = (room / "page.css").read_text(encoding="utf-8") + (room / "sheet.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    shown = [p for p in panels if not p.skipped]
    write_text(
        target,
        page.render(
            title=title,
            command=command,
            shown=shown,
            skipped=[p for p in panels if p.skipped],
            css=Markup(css),
            style_hash=digest,
        ),
    )
    return target
