"""Rule-based dialect features: grammar, never spelling (METHODS section 5.3).

Each is a feature that linguists describe for several varieties of English (Ziems and others, 2022, list 189
over 50 of them). A text changed by these rules is no sample of how anybody speaks: report it as "rule-based
dialect features", never as a claim about people. Where a rule is in doubt it leaves the text alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.dialect.negation import aint, negative_concord
from tether.shifts.text.dialect.nouns import possessive_s_drop
from tether.shifts.text.dialect.verbs import done, habitual_be, verb_s_drop, zero_copula
from tether.shifts.text.rewrite import Edit, Find, by_rule

FEATURES: Mapping[str, tuple[Find, str]] = {
    "dialect_zero_copula": (zero_copula, "she is late: she late"),
    "dialect_habitual_be": (habitual_be, "she is always late: she always be late"),
    "dialect_negative_concord": (negative_concord, "I don't have any: I don't have no"),
    "dialect_aint": (aint, "it isn't: it ain't"),
    "dialect_verb_s_drop": (verb_s_drop, "she works: she work"),
    "dialect_done": (done, "I have lost it: I done lost it"),
    "dialect_possessive_s_drop": (possessive_s_drop, "my mother's house: my mother house"),
}


def find(text: str) -> list[Edit]:
    """The places of all features."""
    return [edit for feature, _ in FEATURES.values() for edit in feature(text)]


def _shift(name: str, finder: Find, summary: str) -> Shift:
    return Shift(name, "dialect", "text", summary, on_strings(by_rule(finder)), default=name == "dialect")


SHIFTS = (
    _shift("dialect", find, "rule-based dialect features, seven of grammar"),
    *(_shift(name, finder, f"feature: {summary}") for name, (finder, summary) in FEATURES.items()),
)
