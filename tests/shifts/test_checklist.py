"""Templates filled, expectations checked against models whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tether.errors import RequestError
from tether.shifts import Shift, get, on_strings
from tether.shifts.text.checklist import Case, directional, evaluate, fill, inv, inv_under, mft

NAMES = {"women": ["Ann", "Eve"], "men": ["Bo", "Carl"]}


def by_word(word: str, yes: float = 0.9, no: float = 0.2):
    """P(class 1) is `yes` where the word stands in the text, else `no`."""
    return lambda texts: np.array([[1 - p, p] for p in (yes if word in t else no for t in texts)])


def test_fill_is_the_product_of_the_slots():
    found = fill("{who} is {how}, {who}!", who=NAMES, how=["sad", "glad"])
    assert len(found) == 8
    assert found[0] == ("Ann is sad, Ann!", {"who": "Ann", "how": "sad"}, "women")
    assert found[-1][0] == "Carl is glad, Carl!"
    both = fill("{a}{b}", a={"x": ["1"]}, b={"y": ["2"]})
    assert both == [("12", {"a": "1", "b": "2"}, "x/y")]
    assert fill("no slot, {} and {1 2}") == [("no slot, {} and {1 2}", {}, "")]


def test_mft_failure_rate_and_group_gap():
    cases = mft("{who} loved it.", 1, who=NAMES)
    found = evaluate(cases, by_word("Ann"))  # right for Ann alone
    assert found.failure_rate == 0.75
    assert found.by_kind == {"MFT": 0.75}
    assert found.by_group == {"women": 0.5, "men": 1.0}
    assert found.max_group_gap == 0.5
    assert [c.texts[0].split()[0] for c in found.failures] == ["Eve", "Bo", "Carl"]
    assert evaluate(cases, by_word("loved")).failure_rate == 0.0
    assert evaluate(mft("{w}", 1, w=["x"]), by_word("x")).max_group_gap is None


def test_inv_fails_where_a_text_gets_another_class_than_most():
    cases = inv("{who} is a {job}.", vary="who", who=NAMES, job=["nurse", "pilot"])
    assert [len(c.texts) for c in cases] == [4, 4]
    odd = evaluate(cases, lambda texts: [[0, 1] if t == "Bo is a pilot." else [1, 0] for t in texts])
    assert odd.failure_rate == 0.5
    assert odd.by_group == {"women": 0.0, "men": 0.25}
    assert odd.failures == (cases[1],)
    tie = Case("INV", ("before", "after"), groups=("old", "new"))
    assert evaluate([tie], by_word("after")).by_group == {"old": 0.0, "new": 1.0}  # the first text decides


def test_inv_under_a_shift_pairs_each_changed_text():
    texts = ["My favourite colour here", "nothing to change", "color of the theatre"]
    cases = inv_under(get("spelling"), texts, severity=3)
    assert [c.texts[0] for c in cases] == [texts[0], texts[2]]
    assert all(c.kind == "INV" and c.texts[0] != c.texts[1] for c in cases)
    loose = Shift(
        "x", "mine", "text", "flips", on_strings(lambda t, s, r: "not " + t), label_preserving=False
    )
    with pytest.raises(RequestError, match="keeps labels"):
        inv_under(loose, texts, 3)


@pytest.mark.parametrize(
    ("rises", "before", "after", "fails"),
    [
        (True, 0.5, 0.8, False),
        (True, 0.5, 0.45, False),  # within the tolerance of 0.1
        (True, 0.5, 0.35, True),
        (False, 0.5, 0.35, False),
        (False, 0.5, 0.55, False),
        (False, 0.5, 0.65, True),
    ],
)
def test_directional(rises, before, after, fails):
    cases = directional(["It works."], lambda t: t + " Love it.", label=1, rises=rises)
    assert cases[0].texts == ("It works.", "It works. Love it.")
    found = evaluate(cases, by_word("Love", yes=after, no=before))
    assert found.failure_rate == float(fails)
    assert evaluate(cases, by_word("Love", yes=after, no=before), tolerance=1.0).failure_rate == 0.0


def test_the_model_is_asked_once_about_each_text():
    asked: list[list[str]] = []

    def predict(texts):
        asked.append(list(texts))
        return torch.tensor([[0.3, 0.7]] * len(texts), requires_grad=True)

    cases = [*mft("{w}.", 1, w=["a", "b"]), Case("MFT", ("a.",), 1), Case("INV", ("b.", "c."))]
    found = evaluate(cases, predict)
    assert asked == [["a.", "b.", "c."]]
    assert found.by_kind == {"MFT": 0.0, "INV": 0.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fill("{name} and {nam}", name=["x"]), "'nam' is only on one side"),
        (lambda: fill("plain", name=["x"]), "'name' is only on one side"),
        (lambda: fill("{name}", name=[]), "list one|at least one"),
        (lambda: fill("{name}", name="Ann"), "got 'Ann'"),
        (lambda: inv("{name}", vary="nam", name=["x", "y"]), "did you mean 'name'"),
        (lambda: inv("{name}", vary="name", name=["x"]), "at least two words"),
        (lambda: evaluate([], by_word("x")), "at least one case"),
        (lambda: evaluate(mft("{w}", 2, w=["x"]), by_word("x")), r"shape \(1, C\) with C > 2, got \(1, 2\)"),
        (lambda: evaluate(mft("{w}", 0, w=["x"]), lambda t: [0.5]), "a row a text"),
        (lambda: evaluate(mft("{w}", 0, w=["x"]), lambda t: [[float("nan"), 1]]), "finite"),
    ],
)
def test_wrong_requests(call, message):
    with pytest.raises(RequestError, match=message):
        call()
