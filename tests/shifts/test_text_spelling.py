"""Contractions and spelling: tables of cases made by hand, round trips, what stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tether.shifts.text import contractions, spelling
from tether.shifts.text.rewrite import rewrite
from tether.shifts.text.word_lists import rows
from tether.shifts.text.words import is_negation


def contracted(text: str) -> str:
    return rewrite(text, contractions.find(text))


def respelled(text: str) -> str:
    return rewrite(text, spelling.find(text))


BOTH_WAYS = [  # each side becomes the other
    ("It is a fine day.", "It's a fine day."),
    ("I am sure that we are early.", "I'm sure that we're early."),
    ("They do not know.", "They don't know."),
    ("She cannot swim.", "She can't swim."),
    ("You will not believe it.", "You won't believe it."),
    ("We have seen the show.", "We've seen the show."),
    ("I will call you.", "I'll call you."),
    ("That is all I know.", "That's all I know."),
    ("The plot does not work.", "The plot doesn't work."),
    ("THEY ARE LOUD AND THEY WILL NOT STOP", "THEY'RE LOUD AND THEY WON'T STOP"),
    ("Do not touch it.", "Don't touch it."),
    ("There is nobody here.", "There's nobody here."),
    ("Where is the manager?", "Where's the manager?"),
    ("We were not told.", "We weren't told."),
]


@pytest.mark.parametrize(("full", "short"), BOTH_WAYS)
def test_contractions_both_ways(full, short):
    assert contracted(full) == short
    assert contracted(short) == full
    assert sum(map(is_negation, full.split())) == sum(map(is_negation, short.split()))


@pytest.mark.parametrize(
    "text",
    [
        "They were as tall as I am.",  # the end of a clause
        "Nobody knows where they are, or who you are now.",
        "I have a car and you have to go.",  # have is no auxiliary
        "It's been fun; he's gone and she's got it.",  # 's may be has
        "Don't you think? Isn't it odd? Why doesn't he call?",  # questions
        "I'd like that, and he'd better go.",  # would or had
        "My mother's car and John's house.",
        "I do NOT agree.",  # emphasis
        "ain't",
        "The IT is down and US are up.",
        "It can't-do nothing: a can-do can't-do man.",
    ],
)
def test_contractions_leave_alone(text):
    assert contracted(text) == text


def test_contractions_keep_the_texts_apostrophe():
    assert contracted("It’s late. We do not mind.") == "It is late. We don’t mind."
    assert contracted("We do not mind.") == "We don't mind."


@pytest.mark.parametrize("row", [r for r in rows("contractions") if r[1] == "="], ids=lambda r: r[2])
def test_every_two_way_contraction_round_trips(row):
    full, _, short = row
    verb = "gone" if full.endswith("have") else "like this"
    text = f"so {short} {verb}" if is_negation(short) else f"{short} {verb}"
    there = contracted(text)
    assert there == text.replace(short, full)
    assert contracted(there) == text


SPELLINGS = [
    ("The color of the theater.", "The colour of the theatre."),
    ("My favorite neighbor is humorous.", "My favourite neighbour is humorous."),
    ("We realized that they organize travel.", "We realised that they organise travel."),
    ("A catalog of analog clocks.", "A catalogue of analogue clocks."),
    (
        "She traveled and canceled, labeling it marvelous.",
        "She travelled and cancelled, labelling it marvellous.",
    ),
    ("COLOR. Color and color", "COLOUR. Colour and colour"),
    ("Organizations analyze behavior.", "Organisations analyse behaviour."),
    ("A gray defense, skillful but meager.", "A grey defence, skilful but meagre."),
    ("Honorable people apologize in the center.", "Honourable people apologise in the centre."),
    ("The traveler's jewelry is colorful.", "The traveller's jewellery is colourful."),
    ("Hospitalized, not idolized.", "Hospitalised, not idolised."),
    ("A liter of fiber.", "A litre of fibre."),
]


@pytest.mark.parametrize(("us", "uk"), SPELLINGS)
def test_spelling(us, uk):
    assert respelled(us) == uk
    assert respelled(uk) == us


@pytest.mark.parametrize(
    "text",
    [
        "The size of the prize: seize it or capsize.",
        "I advise you to exercise, to revise and to surprise.",
        "otherwise wise promise franchise televise",
        "A doctor or an actor, four hours of our tour.",
        "The meter, the story, the license, a tire and a check.",  # spelled both ways on one side at least
        "humorous laborious vigorous coloration honorary",
        "compelled controlled dispelled; parallel, patrol",
        "We met at Lincoln Center, in Pearl Harbor, on Labor Day.",  # names
        "color-blind #color color_map colour.com",
        "analyses, emphases and syntheses",  # plurals of nouns
        "never 3 colors2 [color]",
    ],
)
def test_spelling_leaves_alone(text):
    assert respelled(text) == text


def test_spelling_tables_are_one_to_one():
    there, back = spelling.british(), spelling.american()
    assert len(there) == len(back) > 900
    assert not set(there) & set(back)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(spelling.british())), min_size=1, max_size=8))
def test_spelling_round_trips(words):
    text = " ".join(words)
    there = respelled(text)
    assert there != text
    assert respelled(there) == text
