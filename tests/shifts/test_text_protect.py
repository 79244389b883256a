"""Words of the user's own stay under every text shift; case and spaces; whether a shift reaches the model."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts import (
    Draws,
    Shift,
    all_shifts,
    changes_anything,
    get,
    on_strings,
    protected,
    role_of,
    share_changed,
)
from tether.shifts.text.casing import FORMS

TEXT = [s.name for s in all_shifts() if s.modality == "text"]
CLASSES = ["good", "Bad", "film", "he is", "mother", "c++", "colour"]
KEPT = re.compile(r"(?<!\w)(?:good|bad|film|he\s+is|mother|c\+\+|colour)(?!\w)", re.IGNORECASE)


def batch(*texts: str) -> Batch:
    return Batch(texts, torch.zeros(len(texts)).long(), torch.arange(len(texts)) + 3)


SOME = (
    "good Good, BAD film films he is not mother mother's colour c++ [0] wonderful movie she late isn't any 3 "
    "[MASK] goodness Emily (film)"
)
WORDS = st.sampled_from(tuple(SOME.split()))


@pytest.mark.parametrize("name", TEXT)
@settings(max_examples=25, deadline=None)
@given(words=st.lists(WORDS, max_size=14), severity=st.integers(1, 5), seed=st.integers(0, 99))
def test_protected_words_come_through_in_order(name, words, severity, seed):
    text = " ".join(words)
    (out,) = protected(get(name), CLASSES)(batch(text), severity, Draws(seed)).x
    kept = KEPT.findall(text)
    found = iter(KEPT.findall(out))
    assert all(word in found for word in kept)
    assert "[1]" not in out  # no placeholder of the mechanism is left


@pytest.mark.parametrize("name", TEXT)
def test_without_such_a_word_nothing_is_different(name, texts):
    plain, guarded = get(name), protected(get(name), ["xylophone", "New York"])
    assert guarded(texts, 4, Draws(3)).x == plain(texts, 4, Draws(3)).x
    assert (guarded.name, guarded.family, role_of(guarded)) == (plain.name, plain.family, role_of(plain))
    assert guarded(texts, 0, Draws(3)) is texts


def test_it_is_the_word_that_stays_not_the_rest():
    out = protected(get("elongation"), ["good"])(batch(*["a good wonderful plot"] * 60), 5, Draws(0)).x
    assert all("good" in t.split() for t in out)
    assert any("plooo" in t for t in out)
    assert protected(get("case"), ["Goodness Me"])(batch("goodness  me"), 5, Draws(0)).x == ("goodness  me",)


def test_a_shift_that_ignores_placeholders_is_held_back():
    """A shift of the user's own may do anything to a string; the promise holds all the same."""
    shout = Shift("shout", "mine", "text", "upper case", on_strings(lambda t, s, rng: t.upper()))
    drop = Shift("drop", "mine", "text", "no marks", on_strings(lambda t, s, rng: re.sub(r"[\[\]]", "", t)))
    flip = Shift("flip", "mine", "text", "backwards", on_strings(lambda t, s, rng: " ".join(t.split()[::-1])))
    assert protected(shout, ["good"])(batch("a good film"), 1, Draws(0)).x == ("A good FILM",)
    assert protected(drop, ["good"])(batch("a good film"), 1, Draws(0)).x == ("a good film",)
    assert protected(flip, ["good", "film"])(batch("a good film"), 1, Draws(0)).x == ("a good film",)
    assert protected(flip, ["good"])(batch("a good film"), 1, Draws(0)).x == ("film good a",)


def test_protection_may_be_nested():
    twice = protected(protected(get("keyboard"), ["wonderful"]), ["plot"])
    assert twice(batch(*["wonderful plot"] * 40), 5, Draws(0)).x == ("wonderful plot",) * 40


@pytest.mark.parametrize("words", [[], "good", [""], [" "], [3]])
def test_wrong_words_are_refused(words):
    with pytest.raises(RequestError, match="list of words to protect"):
        protected(get("typos"), words)


def test_images_have_no_words():
    with pytest.raises(RequestError, match="shift of texts"):
        protected(get("contrast"), ["good"])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12))
def test_a_case_form_twice_is_the_form_once(word):
    for form in FORMS.values():
        once = form(word)
        if len(once) == len(word):  # the others (ß to SS) are never changed
            assert form(once) == once


def test_case_forms():
    assert [f("(McDonald's)") for f in FORMS.values()] == [
        "(mcdonald's)",
        "(MCDONALD'S)",
        "(Mcdonald's)",
        "(mCdOnAlD's)",
    ]


def test_case_takes_one_form_a_text_and_alternates_at_severity_5_only():
    text = "Several Other wonderful Words never stand here " * 6
    seen: dict[int, set[str]] = {}
    for severity in (4, 5):
        for seed in range(60):
            (out,) = get("case")(batch(text), severity, Draws(seed)).x
            changed = [b for a, b in zip(text.split(), out.split(), strict=True) if a != b]
            assert changed
            forms = {name for name, f in FORMS.items() if all(f(w) == w for w in changed)}
            assert forms
            seen.setdefault(severity, set()).update(forms)
            assert "never" in out.split()
    assert "alternate" not in seen[4]
    assert seen[5] == set(FORMS)


def test_spaces_add_white_space_only():
    text = "Well, this works (really) fine! 3 of [MASK] "
    for seed in range(40):
        (out,) = get("spaces")(batch(text), 5, Draws(seed)).x
        assert "".join(out.split()) == "".join(text.split())
        assert len(text) < len(out)
        assert "3 of" in out or "3 of  " in out


def tokenizer(lowercase: bool) -> Tokenizer:
    words = ["[UNK]", "a", "Film", "film", "good", "##s", "very", ",", "!"]
    found = Tokenizer(WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    found.normalizer = BertNormalizer(lowercase=lowercase)
    found.pre_tokenizer = BertPreTokenizer()
    return found


def test_an_uncased_tokenizer_does_not_see_case_nor_spaces():
    texts = ["a very good Film", "good films, very good!"]
    uncased, cased = (lambda t, k=k: k.encode(t).ids for k in (tokenizer(True), tokenizer(False)))
    assert changes_anything(get("case"), texts)
    assert changes_anything(get("case"), texts, cased)
    assert not changes_anything(get("case"), texts, uncased)
    assert changes_anything(get("spaces"), texts)
    assert not changes_anything(get("spaces"), texts, cased)  # this one drops white space
    assert changes_anything(get("word_swap"), texts, uncased)
    assert not changes_anything(get("dialect"), texts)


def test_share_changed_counts_texts():
    texts = ["the colour", "no place here", "my favourite color", "nothing"]
    assert share_changed(get("spelling"), [t + " of it all" for t in texts], severity=3) == 0.5
    assert share_changed(get("spelling"), []) == 0.0
