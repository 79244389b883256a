"""Words that must not stand for each other: neighbours in meaning's space are often opposites."""

from __future__ import annotations

# Two poles: a word of one never replaces a word of the other. Written for this project.
_GOOD = """
good great best better nice fine excellent wonderful superb amazing awesome fantastic brilliant perfect
love loved loves lovely like liked likes enjoy enjoyed enjoyable happy glad pleased pleasant delightful
delicious tasty beautiful pretty charming elegant fresh clean safe friendly kind polite helpful useful easy
fast quick smart clever funny hilarious interesting exciting fascinating thrilling moving touching strong
rich bright warm comfortable reliable honest true right correct success successful win winner won positive
favourite favorite recommend recommended worth worthy praise praised impressive outstanding decent solid
satisfied satisfying engaging original fun joy hope calm healthy sweet
"""
_BAD = """
bad worst worse awful terrible horrible dreadful poor lousy mediocre disappointing disappointed disappointment
hate hated hates dislike disliked boring bored dull tedious sad angry annoyed annoying unpleasant disgusting
ugly dirty stale rotten dangerous rude mean nasty useless hard slow stupid dumb silly unfunny weak cheap dim
cold painful broken unreliable dishonest false wrong incorrect fail failed failure lose loser lost negative
waste wasted worthless blame blamed pathetic lame clumsy messy confusing pointless predictable bland horrid
fear pain sick bitter
"""
# Further pairs, each both ways.
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
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "anti")
_SHORTEST_STEM = 3


def _pole(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POLES = (_pole(_GOOD), _pole(_BAD))
_OPPOSED = frozenset(frozenset(pair.split()) for pair in _PAIRS.split("|") if len(pair.split()) == 2)


def opposed(one: str, other: str) -> bool:
    """Whether two words turn each other's meaning round, as far as lists and prefixes can say.

    Example:
        >>> opposed("good", "bad"), opposed("happy", "unhappy"), opposed("good", "great")
        (True, True, False)
    """
    a, b = one.casefold(), other.casefold()
    if any((a in x and b in y) for x, y in (_POLES, _POLES[::-1])) or frozenset((a, b)) in _OPPOSED:
        return True
    short, long = sorted((a, b), key=len)
    if len(short) >= _SHORTEST_STEM and any(long == p + short for p in _PREFIXES):
        return True
    return _stem(a, "ful") == _stem(b, "less") != "" or _stem(a, "less") == _stem(b, "ful") != ""


def _stem(word: str, ending: str) -> str:
    return word.removesuffix(ending) if word.endswith(ending) else ""
