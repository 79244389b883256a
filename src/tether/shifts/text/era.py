"""Words of another time (METHODS section 5.3, temporal).

Where texts have dates, split by date instead: that is a real shift. This one is synthetic, an old word in a
sentence of today, and has to be reported as such.
"""

from __future__ import annotations

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.lexicon import lexicon
from tether.shifts.text.rewrite import by_rule
from tether.shifts.text.synonyms import table

SHIFTS = (
    Shift(
        "era",
        "era",
        "text",
        "synthetic: words of today for those of 1850 to 1950, and back",
        on_strings(by_rule(lexicon(table("era")))),
        default=False,
    ),
)
