from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tether.batch import Batch
from tether.shifts import Draws, all_shifts, get
from tether.shifts.text.character import NEIGHBOURS
from tether.shifts.text.words import RATES, is_fixed, is_negation, is_protected, split

TEXT = [s.name for s in all_shifts() if s.modality == "text"]
# These find something in almost every text; the others are rules for certain words.
GENERAL = (
    "typos",
    "keyboard",
    "ocr",
    "word_dropout",
    "word_swap",
    "punctuation",
    "elongation",
    "case",
    "spaces",
)
# These rewrite negations and keep their sense: tests of their own look at that.
NEGATING = ("contractions", "dialect", "dialect_negative_concord", "dialect_aint", "dialect_verb_s_drop")
PROTECTED = (
    "not", "No", "never", "don't", "isn’t", "cannot", "dont", "nothing,", "without", "not-so-good",
    "3", "1,000", "$5.99", "7th", "½", "[MASK]", "<user>", "{name}", "[MASK].", "@anna", "me@home",
    "https://a.bc/d", "www.a.bc", "shop.com",
)  # fmt: skip
PLAIN = (
    "note",
    "now",
    "know",
    "nice",
    "another",
    "want",
    "plant",
    "wonderful!",
    "(brackets)",
    "nonsense",
    "wonted",
)


def shifted(name: str, text: str, severity: int, seed: int = 0) -> str:
    out = get(name)(Batch((text,), torch.tensor([0]), torch.tensor([1])), severity, Draws(seed)).x
    assert isinstance(out, tuple)
    return out[0]


@pytest.mark.parametrize("word", PROTECTED)
def test_protected_words(word):
    assert is_protected(word)


@pytest.mark.parametrize("word", PLAIN)
def test_other_words_are_free(word):
    assert not is_protected(word)


def test_a_placeholder_may_hold_spaces():
    words = split("dear {first name of user}, hello")
    assert [words.pieces[i] for i in words.free] == ["dear", "hello"]


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60))
def test_splitting_loses_nothing(text):
    words = split(text)
    assert "".join(words.pieces) == text
    assert [words.pieces[i] for i in words.at] == text.split() or any(
        c in text for c in "\x1c\x1d\x1e\x1f\x85"
    )


OTHERS = (
    "service really a of rn terrible movie. :) 😀 He is it's have any colour she her Mary Mary's house "
    "heart attack already seen doing car man Christian film US I they're says buying"
)
WORDS = st.sampled_from((*PROTECTED, *PLAIN, *OTHERS.split()))


@pytest.mark.parametrize("name", TEXT)
@settings(max_examples=40, deadline=None)
@given(words=st.lists(WORDS, max_size=12), severity=st.integers(1, 5), seed=st.integers(0, 1000))
def test_protected_words_come_through_in_order_and_no_negation_is_made(name, words, severity, seed):
    out = shifted(name, " ".join(words), severity, seed).split()
    kept = [w for w in words if (is_fixed if name in NEGATING else is_protected)(w)]
    rest = iter(out)
    assert all(w in rest for w in kept)  # a subsequence: none altered, none lost, order kept
    before, after = (sum(map(is_negation, ws)) for ws in (words, out))
    if name in ("dialect", "dialect_negative_concord"):
        assert (before > 0) == (after > 0)  # concord doubles one, and makes none where there was none
        assert after >= before
    else:
        assert before == after


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("severity", [3, 4, 5])
def test_three_words_change_at_least_once(name, severity):
    for seed in range(25):
        assert shifted(name, "wonderful, service indeed.", severity, seed) != "wonderful, service indeed."


@pytest.mark.parametrize("name", TEXT)
def test_nothing_to_change_is_left_alone(name):
    for text in ("", "   ", "3 not [MASK]", "🙂 :) !!"):
        if ":)" not in text or not name.startswith("word"):  # a smiley is a word to be dropped or moved
            assert shifted(name, text, 5) == text


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["typos", "keyboard", "elongation"])
def test_rate_per_word(name, severity):
    """The count of changed words is binomial."""
    n, text = 4000, " ".join(["wonderful"] * 4000)
    changed = sum(w != "wonderful" for w in shifted(name, text, severity).split())
    p = RATES[severity - 1]
    assert abs(changed - n * p) < 4.5 * (n * p * (1 - p)) ** 0.5


def test_typos_are_one_edit_and_spare_the_first_letter_when_mild():
    text = " ".join(["planet"] * 3000)
    for severity, firsts in ((2, {"p"}), (5, set("pl"))):
        words = [w for w in shifted("typos", text, severity).split() if w != "planet"]
        assert len(words) > 50
        assert Counter(map(len, words)).keys() == {5, 6, 7}
        assert {w[0] for w in words} == firsts
        for w in words:
            if len(w) == 6:  # a swap of neighbours
                assert sorted(w) == sorted("planet")
                assert sum(a != b for a, b in zip(w, "planet", strict=True)) == 2


def test_typos_kinds_are_equally_likely():
    words = [w for w in shifted("typos", " ".join(["planet"] * 6000), 5).split() if w != "planet"]
    lengths = Counter(map(len, words))
    n = len(words)
    for length, share in ((5, 0.25), (6, 0.25), (7, 0.5)):  # delete; swap; insert or repeat
        assert abs(lengths[length] - n * share) < 4.5 * (n * share * (1 - share)) ** 0.5


def test_keyboard_hits_a_neighbour():
    assert set(NEIGHBOURS["g"]) == set("tyfhvb")
    assert set(NEIGHBOURS["q"]) == set("wa")
    for w in shifted("keyboard", " ".join(["Planet"] * 500), 5).split():
        wrong = [(a, b) for a, b in zip("Planet", w, strict=True) if a != b]
        assert len(wrong) <= 1
        assert all(b.lower() in NEIGHBOURS[a.lower()] and a.isupper() == b.isupper() for a, b in wrong)


def test_ocr_confuses_what_looks_alike_and_loses_spaces():
    out = shifted("ocr", " ".join(["modern"] * 2000), 5)
    seen = set(out.split())
    assert {"m0dern", "modem", "moclern", "modcrn", "rnodern", "modernmodern"} <= seen
    assert all(len(w) < 13 or "modern" in w for w in seen)


def test_word_shifts_keep_the_words():
    text = "one two three four five six seven eight"
    for seed in range(30):
        dropped = shifted("word_dropout", text, 5, seed).split()
        rest = iter(text.split())
        assert all(w in rest for w in dropped)
        swapped = shifted("word_swap", text, 5, seed)
        assert sorted(swapped.split()) == sorted(text.split())
        assert len(swapped) == len(text)
    assert {shifted("word_dropout", "good", 5, seed) for seed in range(60)} == {"good"}  # one word stays


def test_white_space_is_kept():
    text = " a  tab\there,  and\nlines "
    assert shifted("punctuation", text, 5) == text.replace(",", "")
    assert "  " in shifted("typos", text, 5)


def test_format():
    assert shifted("punctuation", "(well) ;-) don't, stop :(", 5, seed=3) == "well ;-) don't, stop :("
    out = shifted("elongation", "so so so", 3)
    assert sorted(out.replace("o", "")) == sorted("s s s")
    assert 8 + 2 <= len(out) <= 8 + 3 * 4


def test_generator_is_the_samples_own():
    d = Draws(3).spawn("typos")
    assert d.rng(1, "text").getstate() != random.Random(3).getstate()
    batch = Batch(("planet of the apes and birds",) * 40, torch.zeros(40).long(), torch.arange(40))
    assert len(set(get("typos")(batch, 3, Draws(0)).x)) > 20


@pytest.mark.parametrize("name", TEXT)
@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("aeInst'’ -.\"“”_#@[]{}é\n\t3ßİ"), max_size=50))
def test_any_string_comes_through(name, text):
    """Odd strings raise nothing, and their numbers stay."""
    assert shifted(name, text, 5).count("3") >= text.count("3")
