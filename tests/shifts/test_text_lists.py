"""The word lists themselves: no row twice, no word for itself, two-way rows one to one."""

from __future__ import annotations

from collections import Counter
from importlib import resources

import pytest

from tether.shifts.text.spelling import british
from tether.shifts.text.word_lists import rows, word_class
from tether.shifts.text.words import is_negation

FILES = sorted(
    p.name.removesuffix(".tsv") for p in (resources.files("tether.shifts.text") / "lists").iterdir()
)
# column of the way, of left and of right; a column that parts the file into tables of their own
TABLES = {
    "contractions": (1, 0, 2),
    "synonyms": (2, 1, 3),
    "era": (2, 1, 3),
    "glossary": (3, 2, 4),
    "gender": (2, 1, 3),
}


def test_every_list_is_known_to_a_test():
    known = {*TABLES, "closed_class", "irregular", "spelling", "names", "identity", "public_figures"}
    assert set(FILES) == known


@pytest.mark.parametrize("name", FILES)
def test_rows_are_clean_and_there_once(name):
    found = rows(name)
    assert found
    assert len(set(found)) == len(found)
    assert all(field and field == field.strip() for row in found for field in row)
    widths = {len(row) for row in found if not row[0].startswith("%")}
    assert len(widths) == (2 if name == "irregular" else 1)


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_no_word_for_itself_and_are_symmetric(name):
    way, left, right = TABLES[name]
    both: Counter[tuple[str, str]] = Counter()
    directed: set[tuple[str, str]] = set()
    for row in rows(name):
        a, b = (row[k].rstrip("*").lower() for k in (left, right))
        assert a != b
        assert row[way] in (("=", ">", "<") if name == "contractions" else ("=", ">"))
        directed.add((a, b))
        both[min(a, b), max(a, b)] += 1
        if row[way] == "=":
            directed.add((b, a))
    assert max(both.values()) == 1  # no pair twice, in either order
    for row in rows(name):
        a, b = (row[k].rstrip("*").lower() for k in (left, right))
        assert ((b, a) in directed) == (row[way] == "=")


@pytest.mark.parametrize("name", ["contractions", "gender", "glossary"])
def test_a_word_of_a_two_way_row_has_one_counterpart(name):
    way, left, right = TABLES[name]
    seen = Counter(row[k].lower() for row in rows(name) if row[way] == "=" for k in (left, right))
    assert max(seen.values()) == 1


def test_people_lists():
    names = [n for row in rows("names") for n in row[:4] if n != "-"]
    terms = [w.lower() for row in rows("identity") for w in row[1:]]
    gendered = [w for row in rows("gender") if row[2] == "=" for w in (row[1], row[3])]
    for words in (names, terms, gendered, [r[0] for r in rows("public_figures")]):
        assert max(Counter(words).values()) == 1
    assert not set(names) & set(terms)
    assert not set(names) & set(gendered)
    assert not set(names) & {r[0] for r in rows("public_figures")}
    assert all(n == n.lower() and n.isalpha() for n in names)


def test_lexicon_entries_are_no_negation_and_hold_no_number():
    for name in ("synonyms", "era", "glossary"):
        _, left, right = TABLES[name]
        for row in rows(name):
            for entry in (row[left], row[right]):
                assert not any(is_negation(w) or any(c.isdigit() for c in w) for w in entry.split())


def test_spelling_has_no_pair_of_the_same():
    pairs = british()
    assert all(us != uk for us, uk in pairs.items())
    assert len(set(pairs.values())) == len(pairs)
    assert not {"size", "prize", "advise", "promise", "exercise", "four", "doctor"} & {
        *pairs,
        *pairs.values(),
    }


def test_closed_classes_hold_each_word_once():
    for row in rows("closed_class"):
        assert max(Counter(row[1].split()).values()) == 1
    assert word_class("article", "possessive") == {"a", "an", "the"} | word_class("possessive")
