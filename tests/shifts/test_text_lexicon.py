"""Synonyms, glossaries and era words: number, tense, capitals, articles; and the user's own tables."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts import Draws, get, glossary, role_of
from tether.shifts.text.glossary import FIELDS, packaged
from tether.shifts.text.inflect import article, plural, verb_forms
from tether.shifts.text.lexicon import lexicon, senses
from tether.shifts.text.rewrite import rewrite
from tether.shifts.text.synonyms import table
from tether.shifts.text.words import is_negation

FIND = {
    "synonyms": lexicon(table("synonyms")),
    "glossary": lexicon(packaged(), names_too=True),
    "era": lexicon(table("era")),
}


def exchanged(name: str, text: str) -> str:
    return rewrite(text, FIND[name](text))


SYNONYMS = [
    ("The film was an enormous mess.", "The movie was a huge mess."),
    ("Two films and a movie.", "Two movies and a film."),
    ("She purchased a sofa.", "She bought a couch."),
    ("They are purchasing sofas.", "They are buying couches."),
    ("He begins to weep.", "He starts to cry."),
    ("It began; it has begun.", "It started; it has started."),
    ("A HUGE ERROR", "AN ENORMOUS MISTAKE"),
    ("Kids throw stones.", "Kids toss rocks."),  # "kids" is a verb too: no proof, no change
    ("The kids laughed.", "The children laughed."),
    ("I answer the answer.", "I answer the reply."),
    ("We looked for the attorney.", "We searched for the lawyer."),
    ("Everyone ran towards a lot of trucks.", "Everybody ran toward lots of lorries."),
    ("He rarely repairs bicycles.", "He seldom fixes bikes."),
    ("The journalist postponed it.", "The reporter put off it."),
    ("A deeper beginning, a harder ending.", "A deeper beginning, a harder ending."),  # no proof
    ("It is beginning to end the large fight.", "It is starting to conclude the big fight."),
    ("They were hard pressed, at large.", "They were hard pressed, at large."),
    ("They met at the same time, by accident.", "They met simultaneously, accidentally."),
    ("She is wealthy and often unwell.", "She is rich and frequently sick."),
]
GLOSSARY = [
    ("He had a heart attack.", "He had a myocardial infarction."),
    ("Two myocardial infarctions.", "Two heart attacks."),
    ("She has high blood pressure and a runny nose.", "She has hypertension and rhinorrhea."),
    ("A case of German measles.", "A case of rubella."),
    ("Rubella spreads.", "German measles spreads."),
    ("The tenant sued the landlord.", "The lessee sued the lessor."),
    ("An ophthalmologist came.", "An eye doctor came."),
    ("A cardiologist met an oncologist.", "A heart doctor met a cancer doctor."),
    ("A junk bond is no home loan.", "A high-yield bond is no mortgage."),
    ("High-yield bonds fell.", "Junk bonds fell."),
]
ERA = [
    ("The bus left between two movies.", "The omnibus left betwixt two moving pictures."),
    ("Maybe the flu is back.", "Perchance the grippe is back."),
    ("An omnibus.", "A bus."),
    ("Her boyfriend took a taxi to the airport.", "Her beau took a hansom cab to the aerodrome."),
    ("My phone and my house.", "My telephone and my dwelling."),
    ("It is weird and often funny.", "It is outlandish and oft droll."),
    ("The newspapers say so.", "The gazettes say so."),
    ("We phone them.", "We phone them."),  # a verb here
    ("A gas station near the mall.", "A filling station near the shopping arcade."),
    ("Hello, that was awesome.", "Good day, that was splendid."),
]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (n, *pair)
        for n, pairs in (("synonyms", SYNONYMS), ("glossary", GLOSSARY), ("era", ERA))
        for pair in pairs
    ],
)
def test_exchanged(name, old, new):
    assert exchanged(name, old) == new


@pytest.mark.parametrize("name", FIND)
@pytest.mark.parametrize(
    "text",
    [
        "The Movie Channel and a Sofa Company",  # names
        "film-maker #movie movie_night movie/film huge.com",
        "[huge movie] {film} <movie> @movie",
        "They film us; a purchase.",  # film as a verb; purchase as a noun
        "no not never n't 3",
        "",
    ],
)
def test_left_alone(name, text):
    assert exchanged(name, text) == text


def test_of_several_synonyms_all_come_up():
    batch = Batch(
        ("A movie with an amusing and funny plot indeed.",) * 200, torch.zeros(200).long(), torch.arange(200)
    )
    words = {w for text in get("synonyms")(batch, 5, Draws(0)).x for w in text.split()}
    assert {"film", "movie", "amusing", "funny"} <= words
    huge = lexicon([("adj", "huge", "=", "vast"), ("adj", "huge", "=", "immense")])
    assert huge("a huge hall")[0].options == ("a vast", "an immense")


@pytest.mark.parametrize("name", FIND)
def test_forms_are_unambiguous_and_no_entry_makes_a_negation(name):
    found = senses(table(name) if name != "glossary" else packaged())
    for key, options in found.items():
        assert not any(is_negation(w) for o in options for w in (*o.new.split(), *key.split()))
        assert all(o.new.lower() != key for o in options)
        # Two verbs' forms that fall together (put, put) would lose the tense.
        if len({o.part for o in options}) == 1 and options[0].part == "verb":
            bases = {o.new.split()[0] for o in options}
            assert len(bases) == len(options)


def test_target_verbs_have_one_form_for_past_and_participle():
    """ "had chosen" and "chose" look alike to a rule once "selected" stands for both."""
    for part, left, way, right in (*table("synonyms"), *table("era")):
        if part != "verb":
            continue
        for source, target in ((left, right), (right, left))[: 2 if way == "=" else 1]:
            a, b = verb_forms(source.rstrip("*")), verb_forms(target.rstrip("*"))
            assert a.base != a.past, source
            assert a.past != a.participle or b.past == b.participle, (source, target)


def test_no_pair_is_both_trained_on_and_tested_on():
    pairs = {
        n: {frozenset((r[1].rstrip("*"), r[3].rstrip("*"))) for r in table(n)} for n in ("synonyms", "era")
    }
    assert not pairs["synonyms"] & pairs["era"]
    assert len(pairs["synonyms"]) >= 300
    assert {role_of(get("synonyms")), role_of(get("era"))} == {"train", "test"}


@pytest.mark.parametrize(
    ("noun", "plurals"),
    [
        ("film", "films"),
        ("story", "stories"),
        ("boss", "bosses"),
        ("child", "children"),
        ("toy", "toys"),
        ("church", "churches"),
        ("car park", "car parks"),
        ("renal calculus", "renal calculi"),
        ("box", "boxes"),
    ],
)
def test_plurals(noun, plurals):
    assert plural(noun) == plurals


@pytest.mark.parametrize(
    "forms",
    [
        "stop stops stopped stopped stopping",
        "try tries tried tried trying",
        "look for|looks for|looked for|looked for|looking for",
        "begin begins began begun beginning",
        "die dies died died dying",
        "agree agrees agreed agreed agreeing",
        "pass passes passed passed passing",
        "fix fixes fixed fixed fixing",
        "view views viewed viewed viewing",
        "create creates created created creating",
        "go goes went gone going",
        "repair repairs repaired repaired repairing",
        "permit permits permitted permitted permitting",
    ],
)
def test_verb_forms(forms):
    base, third, past, participle, ing = forms.split("|") if "|" in forms else forms.split()
    found = verb_forms(base)
    assert (found.third, found.past, found.participle, found.ing) == (third, past, participle, ing)


def test_articles():
    an = [
        "error",
        "hour",
        "honest",
        "island",
        "umbrella",
        "uninteresting",
        "unimportant",
        "unidentified",
        "apple",
        "X-ray",
    ][:-1]
    a = ["film", "union", "useful", "European", "unit", "one-off", "utility", "house", "TV", "once"]
    assert {article(w) for w in an} == {"an"}
    assert {article(w) for w in a} == {"a"}


def own(shift, text: str) -> str:
    return shift(Batch((text,), torch.tensor([0]), torch.tensor([0])), 3, Draws(0)).x[0]


def test_own_table_from_a_mapping_and_from_files(tmp_path):
    words = {"headache": "cephalalgia", "Tylenol": "acetaminophen", "type of cell": "cell type"}
    (tmp_path / "w.json").write_text(json.dumps(words), encoding="utf-8")
    (tmp_path / "w.csv").write_text("\n".join(f"{a},{b}" for a, b in words.items()), encoding="utf-8")
    (tmp_path / "w.tsv").write_text("\n".join(f"{a}\t{b}" for a, b in words.items()), encoding="utf-8")
    for given_table in (words, tmp_path / "w.json", str(tmp_path / "w.csv"), tmp_path / "w.tsv"):
        shift = glossary(given_table)
        assert own(shift, "Two bad headaches") == "Two bad cephalalgias"
        assert own(shift, "I took Tylenol today") == "I took acetaminophen today"
        assert own(shift, "Some acetaminophen helped") == "Some Tylenol helped"
        assert own(shift, "this type of cell") == "this cell type"
        assert (shift.name, shift.family) == ("glossary", "vocabulary")


@pytest.mark.parametrize("field", FIELDS)
def test_packaged_fields_are_parts_of_the_whole(field):
    assert 30 <= len(packaged(field)) < len(packaged())
    assert set(packaged(field)) < set(packaged())
    old = packaged(field)[0][1]
    assert own(glossary(field), f"so the {old} came") == f"so the {packaged(field)[0][3]} came"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "at least one pair"),
        ({"womb": "womb"}, "'womb' again"),
        ({"a b": "c", "d": "C"}, "'C' again"),
        ({"": "c"}, "may touch, got ''"),
        ({"type 2": "second type"}, "may touch, got 'type 2'"),
        ({"no fault": "strict"}, "negation"),
        ("medicel", "did you mean 'medical'"),
        ("absent.csv", "cannot read"),
        ("three.csv", "row 2: expected 2 columns, got 3"),
        ("twice.csv", "got a twice"),
        ("list.json", "expected one object"),
        ("broken.json", "is no JSON"),
    ],
)
def test_wrong_tables(words, message, tmp_path):
    (tmp_path / "three.csv").write_text("a,b\nc,d,e", encoding="utf-8")
    (tmp_path / "twice.csv").write_text("a,b\na,d", encoding="utf-8")
    (tmp_path / "list.json").write_text('["a"]', encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        glossary(tmp_path / words if isinstance(words, str) and "." in words else words)


WORDS = st.sampled_from(
    [
        "a",
        "an",
        "film",
        "movies",
        "huge",
        "buys",
        "she",
        "the",
        "purchase",
        "error",
        "has",
        "kid's",
        "3",
        "not",
        "Film",
        "UNION",
        "hour",
        ".",
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS, max_size=12))
def test_articles_fit_after_a_change(words):
    text = " ".join(words)
    for edit in FIND["synonyms"](text):
        for new in edit.options:
            head, _, rest = new.partition(" ")
            if rest and head.lower() in ("a", "an"):
                assert head.lower() == article(rest)
