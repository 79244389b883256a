"""Words that must not stand for each other: neighbours in meaning's space are often opposites."""

from __future__ import annotations

from functools import lru_cache

from tether.shifts.adversarial.polarity import polarity, stems

# Pairs that are no praise and blame, each both ways; written for this project.
_PAIRS = """
hot cold | up down | more less | most least | many few | much little | big small | large small | high low
long short | tall short | early late | old new | old young | first last | before after | always never
often rarely | all none | everything nothing | everyone nobody | inside outside | open closed | open shut
start end | begin end | buy sell | give take | come go | push pull | male female | man woman
men women | boy girl | black white | day night | dark light | heavy light | full empty | wet dry
hard soft | loud quiet | rise fall | rose fell | increase decrease | increased decreased | above below
over under | with without | near far | left right | accept reject | accepted rejected | allow forbid
allowed banned | agree disagree | same different | cause prevent | guilty innocent | alive dead
live die | lived died | remember forget | war peace | yes no | gain loss | gains losses | profit loss
expensive cheap | rich poor | deep shallow | wide narrow | thick thin | north south | east west
husband wife | son daughter | father mother | brother sister
""".replace("\n", "|")
_OPPOSED = frozenset(frozenset(pair.split()) for pair in _PAIRS.split("|") if len(pair.split()) == 2)
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "anti")
_SHORTEST_STEM = 3


@lru_cache(maxsize=2**16)
def opposed(word: str, candidate: str) -> bool:
    """Whether the candidate turns the word's meaning round, or brings praise or blame that it has not.

    As far as lists, prefixes and endings can say: the nearest words in an embedding are often opposites.

    Example:
        >>> [opposed(*pair.split()) for pair in ("good bad", "happy unhappy", "film trash", "good great")]
        [True, True, True, False]
    """
    brought = polarity(candidate)
    if brought is not None and brought != polarity(word):
        return True
    ours, theirs = stems(word), stems(candidate)
    if any(frozenset((a, b)) in _OPPOSED for a in ours for b in theirs):
        return True
    if any(_negated(a, b) or _negated(b, a) for a in ours for b in theirs):
        return True
    a, b = word.casefold(), candidate.casefold()
    return _stem(a, "ful") == _stem(b, "less") != "" or _stem(a, "less") == _stem(b, "ful") != ""


def _negated(stem: str, longer: str) -> bool:
    return len(stem) >= _SHORTEST_STEM and any(longer == prefix + stem for prefix in _PREFIXES)


def _stem(word: str, ending: str) -> str:
    return word.removesuffix(ending) if word.endswith(ending) else ""
