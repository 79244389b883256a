"""Whether a word praises or blames: what an exchanged word must not bring into a text."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

Pole = Literal["good", "bad"]

# Stems and irregular forms, written for this project; endings are taken off before a word is looked up.
_GOOD = """
able accomplish achieve admire adorable advantage affection affordable agree alive amaze amuse appeal
applause appreciate approve astonish attractive authentic awesome beautiful beauty beloved benefit best
better blessed bliss bonus brave bright brilliant calm care celebrate champion charm cheer cherish clean
clear clever comfort compassion competent compliment confident congratulate content convenient cool
correct courage creative cute dazzle decent delicious delight dependable deserve dignity dream eager ease
easy effective efficient elegant encourage energetic engage enjoy enlighten entertain enthusiasm excel
excite exquisite fabulous fair faith fantastic fascinate fast faultless favorite favourite fine flawless
fortunate free fresh friend friendly fun funny generous genius gentle genuine gift glad good gorgeous
grace grand grateful gratitude great grow happy harmony healthy heart heaven help hero hilarious honest
honor honour hope humor humour ideal impress improve incredible innocent insight inspire integrity
intelligent interest intrigue invigorate joy kind kiss laugh like love lovely loyal luck lucky magic
magnificent marvel masterpiece memorable merit miracle motivate nice noble optimist original outstanding
paradise passion peace perfect phenomenal pleasant please pleasure plenty polite popular positive
powerful praise precious pretty pride prize profit promise proper prosper proud pure quick refresh
rejoice relax reliable relief remarkable respect reward rich right romantic safe satisfy save secure
sensational sharp shine sincere skill smart smile smooth solid soothe sparkle special spectacular
splendid strong stun success superb superior support sweet talent tasty tender terrific thank thrill top
touching triumph true trust truth valuable victory vivid warm wealth welcome well wholesome win winner
wisdom wise won wonder worth worthy yay yum yummy
"""
_BAD = """
abandon abuse accuse ache afraid aggressive agony alarm anger angry anguish annoy anxiety anxious appal
arrogant ashamed atrocious attack awful awkward bad badly betray bitter blame bland blunder bogus bored
boredom boring bother break broke broken brutal bug bully burden careless catastrophe cheat clumsy cold
collapse complain condemn confuse corrupt cowardly crap crash crazy creepy crime cringe criticise
criticize crude cruel cry curse damage damn danger dead deadly death deceive defeat defect deficient
delay deny depress despair desperate despise destroy devastate die dire dirty disappoint disaster
disgrace disgust dishonest dislike dismal distress disturb doom doubt drag dread dull dumb embarrass
enemy envy error evil exhaust fail failure fake false fatal fault fear feeble filth flaw flop fool foul
fraud fright frighten frustrate furious garbage gloom greed grief grieve grim gross guilt harm harsh hate
hatred hell helpless hideous hopeless horrible horrid horror hostile humiliate hurt hysteric idiot
ignorant ill inadequate incompetent inferior infuriate insane insult interrupt irritate jealous jerk junk
kill lame lazy liar lie lonely lose loser loss lost lousy mad mediocre mess miser miserable misery miss
mistake mock monster mourn murder nasty nausea negative neglect nerve nervous nightmare noise nonsense
numb offend outrage overpriced pain panic pathetic pessimist pity poison poor problem punish rage refuse
regret reject repulse resent revenge revolt ridiculous risk rotten rubbish rude ruin sad scandal scare
scream selfish shabby shallow shame shit shock shoddy sick sin sinister sloppy slow sorrow sorry stale
steal stink stole strange stress stuck stupid suck sucks suffer suicide tear tedious terrible terrify
terror threat tire tired torment torture tragedy tragic trash trauma trouble ugly unfortunate upset
useless vague vicious victim vile villain violent vomit vulgar waste weak weird whine wicked worry worse
worsen worst worthless wound wrong yuck
"""
# An ending, and after ">" what is put in its place.
_ENDINGS = """
ies>y ied>y ier>y iest>y ily>y iness>y s es ed ed>e d ing ing>e ly ly>le er er>e est est>e en ened ening ness
ment ments ful fully ous ously able able>e ation>e ion ion>e ive ic ical y al ance ance>e
"""
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "anti")
_SHORTEST_STEM = 3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTED = tuple((end, put) for end, _, put in (e.partition(">") for e in _ENDINGS.split()))
_POLES: tuple[tuple[Pole, frozenset[str]], ...] = (("good", _words(_GOOD)), ("bad", _words(_BAD)))


@lru_cache(maxsize=2**16)
def stems(word: str) -> tuple[str, ...]:
    """The word in lower case, and what is left of it without an English ending or two.

    Example:
        >>> "love" in stems("lovingly"), "weak" in stems("weakened")
        (True, True)
    """
    found = [word.casefold()]
    for _ in range(2):
        for stem in tuple(found):
            for end, put in _PARTED:
                rest = stem.removesuffix(end) + put
                if stem.endswith(end) and len(rest) >= _SHORTEST_STEM:
                    found += (
                        [rest, rest[:-1]] if len(rest) > _SHORTEST_STEM and rest[-1] == rest[-2] else [rest]
                    )
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=2**16)
def polarity(word: str) -> Pole | None:
    """Praise, blame, or None where the lists know neither; a negating prefix turns it round.

    Example:
        >>> polarity("hated"), polarity("unpleasant"), polarity("table")
        ('bad', 'bad', None)
    """
    whole = stems(word)
    for stem in whole:
        for name, pole in _POLES:
            if stem in pole:
                return name
    for stem in whole:
        for prefix in _PREFIXES:
            rest = stem.removeprefix(prefix)
            if rest != stem and len(rest) > _SHORTEST_STEM:
                for name, pole in _POLES:
                    if rest in pole:
                        return "bad" if name == "good" else "good"
    return _by_less(word)


def _by_less(word: str) -> Pole | None:
    low = word.casefold()
    if not low.endswith(("less", "lessly")):
        return None
    found = polarity(low.removesuffix("ly").removesuffix("less"))
    return None if found is None else ("bad" if found == "good" else "good")
