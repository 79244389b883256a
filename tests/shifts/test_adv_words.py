"""`adv_substitution`: places, candidates, scores, and the search against brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers as hf
from attacked import affine, lora_texts, stir, text_model
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from tokenizers import ByteLevelBPETokenizer

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts import Draws, get, mixture
from tether.shifts.adversarial.first_order import Slopes
from tether.shifts.adversarial.masked_lm import MaskedLM
from tether.shifts.adversarial.neighbours import Neighbours, whole_words, word_ids
from tether.shifts.adversarial.objective import Goal
from tether.shifts.adversarial.opposites import opposed
from tether.shifts.adversarial.places import class_words, in_case_of, places
from tether.shifts.adversarial.polarity import polarity
from tether.shifts.adversarial.rest import at_rest
from tiny import WORDS, tiny_bert, tiny_texts

CPU = torch.device("cpu")
LONG = "the film was very good and the day was fine , it is a film that the day was not good for a day"


@pytest.fixture
def made(tmp_path):
    model, teachers = lora_texts(tmp_path)
    stir(model)
    return model, teachers


def texts(*x: str) -> Batch:
    return Batch(x, torch.arange(len(x)) % 2, torch.arange(len(x)) + 30)


def view(batch, model, teachers, severity=3, draws=None, **options):
    attack = get({"name": "adv_substitution", **options})
    return attack.at(severity)(batch, model, teachers, draws or Draws(0, step=5))


def changed(a: str, b: str) -> list[tuple[str, str]]:
    assert len(a.split()) == len(b.split())
    return [(x, y) for x, y in zip(a.split(), b.split(), strict=True) if x != y]


@pytest.mark.parametrize("mode", ["auto", "div", "anchor", "teacher", "self"])
def test_j_truly_rises_and_only_free_words_change_within_the_budget(made, mode):
    model, teachers = made
    batch = texts(*tiny_texts(4).x, LONG, "it 's [MASK] film , 3 days", "", "not")
    out = view(batch, model, teachers, 5, mode=mode)
    assert out.space == "raw"
    assert torch.equal(out.ids, batch.ids)
    with at_rest(model, CPU), torch.no_grad():
        j = Goal(mode).objective(batch, model, teachers, 5)
        before, after = j(batch), j(out)
    several = 0
    for i, (a, b) in enumerate(zip(batch.x, out.x, strict=True)):
        swaps = changed(a, b)
        assert len(swaps) <= min(5, max(1, int(0.2 * len(a.split()))))
        assert not {x for x, _ in swaps} & {"not", "[MASK]", "3", ",", "it", "is", "a"}
        assert not any(opposed(x, y) for x, y in swaps)
        assert (after[i] > before[i]) == (a != b)
        several += len(swaps) > 1
    assert several
    assert out.x != batch.x
    assert out.x[-2:] == ("", "not")


def test_at_the_start_only_the_anchor_finds_anything(tmp_path):
    model, teachers = lora_texts(tmp_path)
    batch = tiny_texts(4)
    assert view(batch, model, teachers, mode="div").x == batch.x
    out = view(batch, model, teachers)
    assert all(changed(a, b) for a, b in zip(batch.x, out.x, strict=True))


def test_one_swap_with_every_candidate_tried_is_brute_force(made):
    model, teachers = made
    batch = texts("the film was good", "a very fine day")
    names = [w for w in WORDS[5:] if len(w) > 1 and w.isalpha()]
    out = view(batch, model, teachers, mode="self", candidates=lambda w: names, tries=10_000)
    names = [w for w in names if w not in ENGLISH_STOP_WORDS]
    assert names == ["good", "bad", "fine", "poor", "film", "day"]
    for i, text in enumerate(batch.x):
        options = [text]
        for place in places(text, 0, ENGLISH_STOP_WORDS, ()):
            options += [place.put(w) for w in names if w != place.word and not opposed(place.word, w)]
        with torch.no_grad():
            z = model.eval()(replace(batch.take([i] * len(options)), x=tuple(options))).logits["main"]
        loss = torch.nn.functional.cross_entropy(z, batch.y[[i] * len(options)], reduction="none")
        assert out.x[i] == options[int(loss.argmax())]


def test_the_first_order_score_is_exact_where_j_is_linear_in_the_embeddings(made):
    model, _ = made
    batch = texts("the film was good", "fine")
    weights = torch.randn(4 + 2, 16, generator=torch.Generator().manual_seed(0))

    def j(b: Batch) -> torch.Tensor:
        b = model.backbone.embed(b)
        return (b.x * weights[: b.x.shape[1]] * b.mask[..., None]).sum((1, 2))

    slopes = Slopes(batch, model.backbone, j, Draws(0))
    film = places(batch.x[0], 0, (), ())[1]
    assert film.word == "film"
    options = ["day", "very", "poor"]
    got = slopes.scores(film, options)
    with torch.no_grad():
        want = torch.stack([(j(texts(film.put(w), "fine")) - j(batch))[0] for w in options])
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_words_of_other_lengths_are_compared_by_their_means(made):
    model, _ = made
    slopes = Slopes(texts("film day"), model.backbone, lambda b: b.x.sum((1, 2)), Draws(0))
    film = places("film day", 0, (), ())[0]
    table = model.backbone.table.detach()
    two = (table[[WORDS.index("good"), WORDS.index(".")]].mean(0) - table[WORDS.index("film")]).sum()
    slopes._learn(["good"])
    slopes._vectors["double"] = table[[WORDS.index("good"), WORDS.index(".")]]
    torch.testing.assert_close(slopes.scores(film, ["double"])[0], two)
    mixed = slopes.scores(film, ["good", "double"])
    torch.testing.assert_close(mixed[1], two)
    torch.testing.assert_close(mixed[0], (table[WORDS.index("good")] - table[WORDS.index("film")]).sum())


def test_a_texts_view_is_its_own_and_repeats(made):
    model, teachers = made
    batch = texts(*tiny_texts(4).x, LONG)
    whole = view(batch, model, teachers, 5).x
    assert view(batch, model, teachers, 5).x == whole
    assert view(batch.take([4, 1]), model, teachers, 5).x == (whole[4], whole[1])
    assert view(batch.take([2]), model, teachers, 5).x == (whole[2],)
    sizes = [
        sum(len(changed(a, b)) for a, b in zip(batch.x, view(batch, model, teachers, s).x, strict=True))
        for s in (1, 5)
    ]
    assert sizes[0] < sizes[1]


def test_places_leave_names_class_words_and_marked_words_alone():
    text = "Today Anna didn't buy 3 RED Wi-Fi boxes. Good value, isn't it? (Really) cheap <user> sets!"
    found = [p.word for p in places(text, 2, class_words(["cheap things", "good_value"]), ())]
    assert found == ["Today", "buy", "boxes", "Really", "sets"]
    shout = "THIS IS A GOOD film".upper()
    assert [p.word for p in places(shout, 0, (), ())] == ["THIS", "GOOD", "FILM"]
    here = places("  (fine), day", 0, (), ())
    assert [(p.at, p.word, p.put("x")) for p in here] == [
        (0, "fine", "  (x), day"),
        (1, "day", "  (fine), x"),
    ]
    assert [p.word for p in places("good day", 0, (), {0})] == ["day"]
    assert [in_case_of("fine", m) for m in ("good", "Good", "GOOD")] == ["fine", "Fine", "FINE"]


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ("good", "bad", True), ("Terrible", "great", True), ("hot", "cold", True), ("helpful", "helpless", 1),
        ("usual", "unusual", True), ("possible", "impossible", True), ("good", "great", False),
        ("died", "alive", True), ("hate", "loving", True), ("lucky", "unfortunate", True),
        ("strong", "weakened", True), ("boring", "tedious", False), ("actor", "actress", False),
        ("bad", "awful", False), ("film", "movie", False), ("able", "unable", True), ("it", "unit", False),
    ],
)  # fmt: skip
def test_opposites(a, b, want):
    assert opposed(a, b) is opposed(b, a) is bool(want)


def test_a_neutral_word_does_not_become_praise_or_blame():
    assert opposed("stomach", "vomiting")
    assert opposed("felt", "discomfort")
    assert not opposed("disappointing", "result")
    assert [polarity(w) for w in ("lovelies", "unkind", "painless", "Hated", "table", "news")] == [
        "good", "bad", "good", "bad", None, None
    ]  # fmt: skip


def test_neighbours_are_the_nearest_whole_words_of_the_table(made):
    model, _ = made
    backbone = model.backbone
    words = whole_words(backbone.tokenizer)
    assert words == {w: i for i, w in enumerate(WORDS) if i > 4 and w.isalpha() and len(w) > 1}
    near = Neighbours(3)
    film = places("film", 0, (), ())
    got = near(film, backbone)[0]
    table = torch.nn.functional.normalize(backbone.table.detach(), dim=1)
    order = sorted(words, key=lambda w: -float(table[words[w]] @ table[words["film"]]))
    assert got == order[:3]
    with torch.no_grad():  # a table that has changed is read anew
        backbone.table[words[order[5]]] = backbone.table[words["film"]] * 2
    assert order[5] in near(film, backbone)[0]


def test_whole_words_of_a_byte_level_tokenizer(tmp_path: Path):
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(["the good film was a good day and the film was fine"] * 20, vocab_size=340)
    made.save(str(tmp_path / "tokenizer.json"))
    fast = hf.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), unk_token="<unk>")
    words = whole_words(fast)
    assert {"good", "film", "the", "fine"} <= set(words)
    for word, i in words.items():
        assert fast.decode([i]) == f" {word}"
        assert fast(f"such {word}")["input_ids"][-1] == i
    assert word_ids(fast, ["good", "goodly"])[0] == [words["good"]]
    assert len(word_ids(fast, ["goodly"])[0]) > 1
    assert word_ids(fast, []) == []


def masked_lm(folder: Path) -> str:
    tiny_bert(folder)
    torch.manual_seed(1)
    config = hf.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    hf.BertForMaskedLM(config).save_pretrained(folder)
    return str(folder)


def test_a_masked_language_model_proposes_by_context(made, tmp_path):
    model, teachers = made
    name = masked_lm(tmp_path / "mlm")
    found = places("the good film .", 0, (), ())
    asked = [*found, places("a [MASK] day", 0, (), ())[0]]
    got = MaskedLM(name, 4)(asked, model.backbone)
    assert [len(g) for g in got] == [4, 4, 4, 0]  # of two gaps it is not known which is meant
    network = hf.AutoModelForMaskedLM.from_pretrained(name).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(name)
    words = whole_words(tokenizer)
    with torch.no_grad():
        logits = network(**tokenizer("the good [MASK] .", return_tensors="pt")).logits[0, 3]
    assert got[2] == sorted(words, key=lambda w: -float(logits[words[w]]))[:4]
    batch = tiny_texts(4)
    out = view(batch, model, teachers, masked_lm=name)
    assert out.x != batch.x
    assert view(batch, model, teachers, masked_lm=name).x == out.x


def test_candidates_of_ones_own(made):
    model, teachers = made
    batch = tiny_texts(4)
    only = {"film": ["day"], "good": ["bad"]}
    out = view(batch, model, teachers, mode="self", candidates=only.get)
    for a, b in zip(batch.x, out.x, strict=True):
        assert {*changed(a, b)} <= {("film", "day")}  # good for bad turns the meaning round
    assert view(batch, model, teachers, candidates=lambda w: []).x == batch.x
    assert view(batch, model, teachers, candidates=lambda w: ["yes", "no", "NO", "it's", w]).x == batch.x


def test_it_mixes_freely(made):
    model, teachers = made
    batch = replace(tiny_texts(40), ids=torch.arange(40))
    out = mixture(["adv_substitution", "word_dropout"], [5])(batch, model, teachers, Draws(0))
    assert out.space == "raw"
    assert torch.equal(out.ids, batch.ids)
    assert any(a != b for a, b in zip(out.x, batch.x, strict=True))


def test_a_student_whose_embeddings_train_may_use_the_anchor(tmp_path):
    student, teacher = text_model(tmp_path / "a"), text_model(tmp_path / "b")
    with torch.no_grad():
        student.backbone.table.mul_(1.1)
    teachers = {"initial": teacher}
    batch = tiny_texts(4)
    assert view(batch, student, teachers, mode="anchor").x != batch.x
    with pytest.raises(RequestError, match="share the token embeddings"):
        view(batch, student, teachers, mode="div")
    assert get("adv_substitution").space == "embedding"
    assert get({"name": "adv_substitution", "mode": "anchor"}).space == "raw"


def test_requests_that_make_no_sense(tmp_path, made):
    model, teachers = made
    for options, message in [
        ({"rate": 0.0}, "rate: expected a number above 0"),
        ({"masked_lm": "nowhere"}, "folder of a masked language model"),
        ({"masked_lm": str(tmp_path), "candidates": len}, "got both"),
        ({"candidates": "lexicon"}, "callable"),
    ]:
        with pytest.raises(RequestError, match=message):
            get({"name": "adv_substitution", **options})
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RequestError, match="cannot be read as one"):
        view(tiny_texts(2), model, teachers, masked_lm=str(empty))
    with pytest.raises(RequestError, match="text model"):
        view(tiny_texts(2), affine(), {}, mode="self")
