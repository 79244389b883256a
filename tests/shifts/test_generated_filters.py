"""The filters of METHODS 5.3 by hand-made cases, and the measures they rest on by a second road."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch

from tether.errors import RequestError
from tether.shifts.generated.acceptance import Tally, Verdict, judged
from tether.shifts.generated.distance import edit_ratio
from tether.shifts.generated.filters import clean, facts, fault
from tether.shifts.generated.language import guess, same_language, script
from tether.shifts.generated.prompts import ATTRIBUTES, DEFAULT, Prompt, prompts_of
from tether.shifts.generated.similarity import Encoded, Overlap, refuse_initial
from tether.shifts.generated.writer import Reply, Sampling, task_of
from tiny import tiny_bert

TEXT = "I do not like the 3 phones we bought at @shop in the spring."
GOOD = "The 3 phones that we bought in spring at @shop are not to my taste."


@pytest.mark.parametrize(
    ("rewrite", "why"),
    [
        (GOOD, None),
        ("", "empty"),
        ("As an AI, I do not like the 3 phones we got at @shop.", "refusal or meta text"),
        ("I'm sorry, but I cannot help with the 3 phones at @shop.", "refusal or meta text"),
        ("Sure! I do not care for the 3 phones we got at @shop.", "refusal or meta text"),
        ("Here is the formal version: I do not care for the 3 phones from @shop.", "refusal or meta text"),
        ("Rewritten: I do not care for the 3 phones we got at @shop.", "refusal or meta text"),
        (TEXT, "too similar"),
        (TEXT.replace("spring", "sprung"), "too similar"),
        ("Not 3 of @shop.", "length"),
        (GOOD + " It was a warm day, and we had come a long way to look at the things they sell.", "length"),
        ("Ich mag die 3 Telefone nicht, die wir im Frühling bei @shop gekauft haben.", "language"),
        ("Мне не нравятся 3 телефона, которые мы купили весной в @shop.", "language"),
        ("The 3 phones that we bought in spring at @shop are just to my taste.", "negation"),
        ("The 3 phones not bought in spring at @shop are not to my taste.", "negation"),
        ("The 4 phones that we bought in spring at @shop are not to my taste.", "numbers"),
        ("The phones that we bought in spring at @shop are not to my taste.", "numbers"),
        ("The 3 phones that we bought in spring at the shop are not to my taste.", "numbers"),
        ("The three phones that we bought in spring at @shop aren't to my taste.", None),
    ],
)
def test_each_filter(rewrite, why):
    assert fault(TEXT, Reply(rewrite, True)) == why
    assert fault(TEXT, Reply(rewrite, False)) == "cut off"


def test_what_the_text_says_itself_is_no_meta_text():
    text = "As an AI researcher I was asked to rewrite the report again."
    assert (
        fault(text, Reply("They had me rewrite that report once more; as an AI researcher, I sighed.", True))
        is None
    )


def test_quotes_around_a_reply_go_and_quotes_within_stay():
    assert clean(' "A fine day." ', "It was fine.") == "A fine day."
    assert clean('"A fine day."', '"It was fine."') == '"A fine day."'
    assert clean('"A" and "b"', "x") == '"A" and "b"'


def test_facts_by_hand():
    assert facts("3 of 1,200 for {name}, see www.x.com; no, not two: 2.5") == Counter(
        {"3": 1, "1200": 1, "2": 1, "2.5": 1, "{name}": 1, "www.x.com": 1}
    )


def levenshtein(a: str, b: str) -> int:
    """Second road: the plain recursion's table."""
    table = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (x != y))
    return table[-1][-1]


def test_edit_ratio_is_levenshtein():
    rng = random.Random(0)
    for _ in range(150):
        a, b = ("".join(rng.choices("abcé", k=rng.randint(1, 14))) for _ in range(2))
        assert edit_ratio(a, b) == pytest.approx(levenshtein(a, b) / max(len(a), len(b)))
    assert edit_ratio("a  b", " a b ") == 0
    assert edit_ratio("", "x") == 1


def test_languages():
    assert guess("we saw that it was the best of them") == "en"
    assert guess("das ist nicht mit dem Hund") == "de"
    assert guess("ceci n'est pas une pipe pour vous") == "fr"
    assert guess("bonjour") is None
    assert script("Привет, world!!") == "CYRILLIC"
    assert script("12 :-)") is None
    assert same_language("lol so gooood", "That is very good indeed, and it was for the best")
    assert not same_language("これは良い映画です", "this is a good film")


def test_similarity_is_asked_only_about_what_passes_the_rest():
    task = task_of(TEXT, Prompt("x", "{text}"), "m", Sampling())
    asked = []

    class Alike:
        what, least = "similarity", 0.75

        def __call__(self, sources, rewrites):
            asked.extend(rewrites)
            return np.array([0.75, 0.7499][: len(sources)])

    replies = [Reply(f'"{GOOD}"', True), Reply(GOOD.replace("taste", "liking"), True), Reply("", True)]
    verdicts = judged([task] * 3, replies, lambda: Alike())
    assert [v.fault for v in verdicts] == [None, "similarity", "empty"]
    assert asked == [GOOD, GOOD.replace("taste", "liking")]
    assert verdicts[0] == Verdict(GOOD, None, edit_ratio(TEXT, GOOD))


def test_below_thirty_percent_the_family_is_refused_with_the_counts():
    tally = Tally()
    tally.add([Verdict("x", None)] * 3 + [Verdict("", "empty")] * 5 + [Verdict("x", "negation")] * 2)
    tally.check()  # exactly 30%
    tally.add([Verdict("", "empty")])
    with pytest.raises(
        RequestError, match=r"3 of 11 rewrites accepted \(27%\); refused: empty 6, negation 2"
    ):
        tally.check()
    tally.check(so_far=True)  # too early to tell
    tally.add([Verdict("", "empty")] * 189)
    with pytest.raises(RequestError, match="3 of 200"):
        tally.check(so_far=True)


def test_overlap_knows_the_subject_and_nothing_of_the_meaning():
    texts = [f"the {a} was {b}" for a in ("film", "meal", "phone", "hotel") for b in ("good", "bad", "dull")]
    alike = Overlap(texts)
    same, near, far = alike(
        ["the film was good"] * 3, ["the film was good", "a good film", "my phone is bad"]
    )
    assert same == pytest.approx(1)
    assert near > alike.least > far
    assert alike(["the film was good"], ["the film was not good"])[0] > alike.least  # why it is a stand-in


def test_the_encoder_is_a_masked_mean_and_may_not_be_the_initial_model(tmp_path):
    from transformers import AutoModel, AutoTokenizer

    from tether.models.config import ModelConfig
    from tether.models.load import load_backbone

    one, other = (str(tiny_bert(tmp_path / n, seed=s)) for n, s in (("one", 0), ("other", 1)))
    texts = ["a good film .", "it was a very bad day", "fine", "the film is not good"]
    encoder = Encoded(one, torch.device("cpu"))
    network, words = AutoModel.from_pretrained(one).eval(), AutoTokenizer.from_pretrained(one)
    with torch.no_grad():  # second road: one text at a time, no padding
        means = [network(**words(t, return_tensors="pt")).last_hidden_state[0].mean(0) for t in texts]
    want = [torch.cosine_similarity(means[0], m, dim=0).item() for m in means]
    np.testing.assert_allclose(encoder([texts[0]] * 4, texts), want, atol=1e-5)
    for pooling in ("mean", "cls"):
        backbone = load_backbone(ModelConfig(name=one, pooling=pooling)).backbone

        def embed(batch, backbone=backbone):
            with torch.no_grad():
                return backbone.encode(batch).features

        with pytest.raises(RequestError, match="the initial model's own features"):
            refuse_initial(encoder, embed, texts)
        refuse_initial(Encoded(other, torch.device("cpu")), embed, texts)
    with pytest.raises(RequestError, match="a text encoder of the transformers library"):
        Encoded(str(tmp_path), torch.device("cpu"))


def test_prompts():
    assert set(DEFAULT) <= set(ATTRIBUTES)
    news, pirate, whole = prompts_of(
        ["news"], {"pirate": "as a pirate would say it", "whole": "Say it anew: {text}"}
    )
    assert "as a pirate would say it" in pirate.of("Ahoy {text}!")
    assert "Ahoy {text}!" in pirate.of("Ahoy {text}!")
    assert whole.of("x") == "Say it anew: x"
    assert len({news.id, pirate.id, whole.id, prompts_of([], {"pirate": "as a rogue"})[0].id}) == 4
    for attributes, own, message in [
        (["newz"], None, "did you mean 'news'"),
        ([], None, "one or more"),
        (["news", "news"], None, "each once"),
        ([], {"x": "{text} {text}"}, "once"),
        ([], {"x": " "}, "words for the attribute"),
    ]:
        with pytest.raises(RequestError, match=message):
            prompts_of(attributes, own)
