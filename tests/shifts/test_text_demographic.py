"""Counterfactuals on sentences made by hand; consistency; what stays."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tether.batch import Batch
from tether.shifts import Draws, get
from tether.shifts.text import demographic
from tether.shifts.text.demographic.people import given_names


def swapped(text: str, *axes: str) -> str:
    return demographic.swap(text, demographic.mentions(text, axes or demographic.AXES))


GENDER = [
    ("He told his sister that she saw him.", "She told her brother that he saw her."),
    ("The book is hers.", "The book is his."),
    ("His (old) house.", "Her (old) house."),
    ("That house of his is old.", "That house of hers is old."),
    ("I saw her in the park.", "I saw him in the park."),
    ("I saw her house.", "I saw his house."),
    ("They made her laugh and saw her leave.", "They made him laugh and saw him leave."),
    ("We gave her flowers.", "We gave him flowers."),
    ("We gave her mother flowers.", "We gave his father flowers."),
    ("Everybody loves her deeply.", "Everybody loves him deeply."),
    ("Her deeply moving film.", "His deeply moving film."),
    ("She hurt herself, said her uncle.", "He hurt himself, said his aunt."),
    ("An actress met a waitress.", "An actor met a waiter."),
    ("Mom and Dad; MY FATHER'S SONS", "Dad and Mom; MY MOTHER'S DAUGHTERS"),
    ("Mary's husband loves the women.", "John's wife loves the men."),
    ("Her mother-in-law is a businesswoman.", "His father-in-law is a businessman."),
    ("She'll come, he's gone.", "He'll come, she's gone."),
    ("Emily saw Greg; Emily left.", "Greg saw Emily; Greg left."),
]
NAMES = [
    ("Emily met Jamal.", "Lakisha met Greg."),
    ("I think Rahul and Priya know it.", "I think Jake and Lauren know it."),
    ("Yesterday Megan left, then Megan came back.", "Yesterday Lucia left, then Lucia came back."),
    ("EMILY WON", "LAKISHA WON"),
    ("Mary stayed.", "Mary stayed."),  # no second group
]
IDENTITY = [
    ("A Christian went to church.", "A Muslim went to mosque."),
    ("An imam and a priest.", "A priest and an imam."),
    ("Two Hindus met a gay couple.", "Two Buddhists met a straight couple."),
    ("A black man, a white car.", "A white man, a white car."),
    ("An American woman likes American cheese.", "A Mexican woman likes American cheese."),
    ("a homosexual character", "a heterosexual character"),
    ("The young actor and the elderly people.", "The elderly actor and the young people."),
    ("the Jewish family and Catholics", "the Catholic family and Jews"),
]


@pytest.mark.parametrize(("old", "new"), GENDER)
def test_gender(old, new):
    assert swapped(old, "gender") == new


@pytest.mark.parametrize(("old", "new"), NAMES)
def test_names(old, new):
    assert swapped(old, "names") == new


@pytest.mark.parametrize(("old", "new"), IDENTITY)
def test_identity(old, new):
    assert swapped(old, "identity") == new


def test_all_axes_together():
    assert swapped("Emily and her Muslim friend met Emily's sons.") == (
        "Jamal and his Christian friend met Jamal's daughters."
    )


@pytest.mark.parametrize(
    "text",
    [
        'My friend wrote: "she told her mother".',
        "“He is a man”, they said. ''She too''.",
        "Obama said that he was proud of his wife.",
        "Emma Watson and her brother.",
        "The director Robert J. Siegel and his wife.",
        "I like Robert Redford in his best role.",
        "President Miller lost her vote.",
        "We saw The Godfather and Queen live.",
        "I told him/her and he/she said so.",
        "Oh man, you guys rock.",
        "See @mary or [her name] or {he}.",
        "I will hope and grace; will mark.",  # no names in small letters
        "They love their parents.",
        "the black cat, a straight line, the blind alley, hearing aids",
        "African American art, the Catholic Church, Christian Bale",
    ],
)
def test_left_alone(text):
    assert swapped(text) == text


@pytest.mark.parametrize(
    "text", [old for old, _ in GENDER if "actress" not in old and "(" not in old] + [old for old, _ in NAMES]
)
def test_twice_is_the_same_text_again(text):
    assert swapped(swapped(text)) == text


def test_names_are_a_pairing_that_commutes():
    for axis in ("gender", "names"):
        pairs = {n: demographic._column(n, axis) for n in given_names()}
        assert all(pairs[other] == name and other != name for name, other in pairs.items() if other)
    for name in given_names():
        there = demographic._column(name, "names")
        if there:
            one = demographic._column(there, "gender")
            assert one == demographic._column(demographic._column(name, "gender"), "names")


PEOPLE = st.sampled_from(
    ["she", "he", "his", "her", "him", "Emily", "Jamal", "Mary", "mother", "sons", "a", "saw", "and", "house"]
)


@settings(max_examples=80, deadline=None)
@given(words=st.lists(PEOPLE, min_size=3, max_size=14), severity=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_text_is_changed_consistently(words, severity, seed):
    """The gender of a text changes as a whole or not at all, and one name becomes one other name."""
    batch = Batch((" ".join(words),), torch.tensor([0]), torch.tensor([4]))
    (out,) = get("demographic")(batch, severity, Draws(seed)).x
    new = out.split()
    assert len(new) == len(words)
    gendered = [
        (a, b) for a, b in zip(words, new, strict=True) if a in ("she", "he", "mother", "sons", "him")
    ]
    assert len({a == b for a, b in gendered}) <= 1
    renamed = {(a, b) for a, b in zip(words, new, strict=True) if a in ("Emily", "Jamal", "Mary")}
    assert len({a for a, _ in renamed}) == len({b for _, b in renamed}) == len(renamed)
