"""The cache, the plan, and the family from its options to a view."""

from __future__ import annotations

import json
import multiprocessing

import pytest
import torch
from language_models import causal, said, server
from PIL import Image

from tether.data import from_objects
from tether.errors import RequestError
from tether.shifts import Draws, Supplies, get, mixture
from tether.shifts.generated import generated
from tether.shifts.generated import rewrites as module
from tether.shifts.generated.acceptance import Verdict
from tether.shifts.generated.prompts import prompts_of
from tether.shifts.generated.rewrites import planned, rewrites
from tether.shifts.generated.similarity import Overlap
from tether.shifts.generated.store import Store
from tether.shifts.generated.writer import Reply, Sampling, task_of

NOUNS = ("film", "meal", "hotel", "phone", "book", "concert", "garden", "train", "lesson", "coat")
TEXTS = [
    f"I thought that the {n} was {a} and we liked it." for n in NOUNS for a in ("grand", "lovely", "neat")
]
PROMPTS = prompts_of(["formal", "casual", "news"], None)


def rewrite(text: str) -> str:
    """A rewrite that every filter lets pass."""
    return text.replace("I thought that", "In my opinion").replace(
        "and we liked it", "and all of us enjoyed it"
    )


class Scripted:
    """A back end that writes what it is told, and remembers what it was asked."""

    def __init__(self, write=lambda task: rewrite(task.text), stop_after: int | None = None) -> None:
        self.one, self.stop_after, self.asked = write, stop_after, []

    def write(self, tasks):
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += tasks
        return [Reply(self.one(task), True) for task in tasks]


def alike():
    return Overlap(TEXTS)


def plan(n: int = 10, per: int = 1):
    return [[task_of(t, p, "m", Sampling()) for p in PROMPTS[:per]] for t in TEXTS[:n]]


def run(tasks, writer, store=None, judge="j"):
    return rewrites(tasks, store or Store("m"), lambda: writer, alike, judge, 2)


def test_replies_are_made_once(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    writer = Scripted()
    found = run(plan(), writer)
    assert [list(t) for t in found.texts] == [[rewrite(t)] for t in TEXTS[:10]]
    assert found.rate == 1
    assert "10 of 10 rewrites accepted (100%)" in found.said
    assert sorted(t.key for t in writer.asked) == sorted(t[0].key for t in plan())
    again = Scripted()
    assert run(plan(), again).texts == found.texts
    assert run(plan(), again, judge="another").texts == found.texts  # judged anew, not written anew
    assert again.asked == []
    run(plan(12), again)
    assert {t.text for t in again.asked} == set(TEXTS[10:12])


def test_a_stopped_run_goes_on_also_after_a_line_cut_in_half(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    store = Store("m")
    with pytest.raises(KeyboardInterrupt):
        run(plan(), Scripted(stop_after=6), store)
    assert len(store.read()) == 6
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[:-25])  # as a kill while writing leaves it
    assert len(store.read()) == 5
    writer = Scripted()
    found = run(plan(), writer, store)
    assert len(writer.asked) == 5
    assert found.rate == 1
    lines = store.path.read_bytes().split(b"\n")
    whole_lines = [line for line in lines if line.endswith(b"}")]
    assert len(whole_lines) == 10
    assert all(
        set(json.loads(line)) == {"key", "prompt", "model", "text", "finished"} for line in whole_lines
    )


def test_the_first_of_two_replies_counts_and_damage_is_skipped():
    store, task = Store("m"), plan(1)[0][0]
    store.add({task: Reply("first", True)})
    with store.path.open("ab") as f:
        f.write(b'{"key": 3\n[1, 2]\n\xff\xfe\n{"no": "key"}\n')
    store.add({task: Reply("sécond\nline", False), plan(2)[1][0]: Reply("é\n", False)})
    found = store.read()
    assert found[task.key] == Reply("first", True)
    assert found[plan(2)[1][0].key] == Reply("é\n", False)
    assert Store("other").path != store.path
    assert Store("other").read() == {}


def _append(cache: str, start: int) -> None:
    import os

    os.environ["TETHER_CACHE"] = cache
    store = Store("m")
    for i in range(start, start + 40):
        store.add({task_of(f"text {i}", PROMPTS[0], "m", Sampling()): Reply("x" * 3000, True)})


def test_two_processes_append_whole_lines(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_append, args=(str(tmp_path / "cache"), 40 * k)) for k in range(2)]
    for p in both:
        p.start()
    for p in both:
        p.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert len(Store("m").read()) == 80
    assert len(Store("m").path.read_text().splitlines()) == 80


def test_a_second_process_finds_what_the_first_one_made_meanwhile():
    """The store is read again once the turn is had."""
    store, tasks = Store("m"), plan(4)
    first = store.read()
    assert first == {}

    class Late(Store):
        reads = 0

        def read(self):
            Late.reads += 1
            if Late.reads == 2:
                store.add({t[0]: Reply(rewrite(t[0].text), True) for t in tasks})
            return super().read()

    writer = Scripted()
    assert run(tasks, writer, Late("m")).rate == 1
    assert writer.asked == []


def test_bad_rewrites_leave_texts_as_they_are_and_too_many_refuse_the_family(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    good = set(TEXTS[:4])
    mixed = Scripted(lambda task: rewrite(task.text) if task.text in good else "I cannot help with that.")
    found = run(plan(10), mixed)
    assert [bool(t) for t in found.texts] == [t in good for t in TEXTS[:10]]
    assert "4 of 10 rewrites accepted (40%); refused: refusal or meta text 6" in found.said
    assert "6 of 10 training texts stay as they are" in found.said
    with pytest.raises(RequestError, match=r"at least 30% .*4 of 14 rewrites accepted \(29%\)"):
        run(plan(14), mixed)


def test_a_hopeless_model_is_stopped_early():
    texts = [f"{TEXTS[i % 30]} Number {i}." for i in range(600)]
    tasks = [[task_of(t, PROMPTS[0], "m", Sampling())] for t in texts]
    writer = Scripted(lambda task: "")
    with pytest.raises(RequestError, match="empty 208"):
        run(tasks, writer)
    assert len(writer.asked) == 208  # the first multiple of 16 from 200 on
    assert len(Store("m").read()) == 208


def test_rewrites_of_a_text_are_sorted_by_how_much_they_change():
    tasks = plan(1, per=3)
    more = rewrite(TEXTS[0])
    less = TEXTS[0].replace("I thought that", "I found that")
    verdicts = [Verdict(more, None, 0.6), Verdict(less, None, 0.2), Verdict(more, None, 0.6)]
    table = dict(zip((t.key for t in tasks[0]), verdicts, strict=True))
    assert module.collected(tasks, table, module.Tally()).texts == [[less, more]]


def bundle(texts=TEXTS):
    return from_objects((texts, ["yes", "no"] * (len(texts) // 2)))


def supplies(data) -> Supplies:
    held = {n: e for n, e in data.sets().items() if n != "train"}
    return Supplies(data.train, held, data.classes, data.fingerprint, None, lambda n: None)


def test_the_plan_draws_prompts_by_sample():
    train = bundle().train
    tasks = planned(train, PROMPTS, 2, None, "m", Sampling())
    assert all(len({t.prompt for t in of_sample}) == 2 for of_sample in tasks)
    assert {t.prompt for of_sample in tasks for t in of_sample} == set(PROMPTS)
    turned = planned(train.subset(range(len(train))[::-1]), PROMPTS, 2, None, "m", Sampling())
    assert turned[::-1] == tasks
    some = planned(train, PROMPTS, 5, 7, "m", Sampling())
    assert sorted(len(t) for t in some)[-8:] == [0, *[3] * 7]
    keys = {t.key for s in (0, 1) for x in planned(train, PROMPTS, 3, None, "m", Sampling(seed=s)) for t in x}
    assert len(keys) == 2 * 3 * len(set(train.batch(range(len(train))).x))


@pytest.fixture
def _no_proxy(monkeypatch):
    import os

    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("_no_proxy")
def test_from_a_server_to_views(capsys):
    def answer(body, headers, before):
        words = body["messages"][0]["content"]
        text = words.partition("Text: ")[2].partition("\nRewritten")[0]
        if "hotel" in text:
            return said("Sure! " + rewrite(text))
        return said(
            rewrite(text) if "official letter" in words else text.replace("I thought that", "We found")
        )

    data = bundle()
    given = supplies(data)
    with server(answer) as address:
        options = {"model": "x", "base_url": address, "attributes": ["formal", "casual"], "batch_size": 4}
        recipe = get({"name": "generated", **options})
        shift = recipe.prepared(given)
        asked_again = get({"name": "generated", **options})
    noise = " ".join(capsys.readouterr().err.split())
    assert "the training texts are sent to 127.0.0.1" in noise
    assert "no encoder was given" in noise
    assert "training texts stay as they are" in noise
    assert (shift.modality, shift.family, shift.label_preserving, shift.default) == (
        "text", "generated", True, False,
    )  # fmt: skip
    batch = data.train.batch(range(len(data.train)))
    one, five = (shift(batch, s, Draws(0)) for s in (1, 5))
    for text, near, far in zip(batch.x, one.x, five.x, strict=True):
        if "hotel" in text:
            assert near == far == text  # both its rewrites were refused
        else:
            assert near == text.replace("I thought that", "We found")
            assert far == rewrite(text)
    assert torch.equal(one.y, batch.y)
    assert torch.equal(one.ids, batch.ids)
    rows = [4, 0, 7]
    mixed = shift(batch, 3, Draws(1))
    assert shift(batch.take(rows), 3, Draws(1)).x == mixed.take(rows).x
    assert len({shift(batch, 3, Draws(0, step=s)).x for s in range(5)}) > 1
    # The server is gone; all is in the cache.
    assert asked_again.prepared(given)(batch, 3, Draws(1)).x == mixed.x
    with pytest.raises(RequestError, match="training only"):
        shift(data.id_test.batch([0]), 1, Draws(0))
    view = mixture([recipe, "word_swap"]).prepared(given)
    assert len(view(batch, None, None, Draws(0)).x) == len(batch)


def test_a_random_model_is_refused_with_the_number(tmp_path):
    recipe = generated(str(causal(tmp_path / "gpt")), attributes=["formal"], limit=10)
    with pytest.raises(RequestError, match=r"of 10 rewrites accepted \(\d+%\); refused: "):
        recipe.prepared(supplies(bundle()))
    stored = next((tmp_path / "cache" / "generated").glob("gpt*.jsonl"))
    assert len(stored.read_text().splitlines()) == 10


def test_requests_that_make_no_sense():
    for options, message in [
        ({}, "generated needs this option"),
        ({"model": "m", "temperature": 0}, "shift.temperature"),
        ({"model": "m", "top_p": 1.5}, "shift.top_p"),
        ({"model": "m", "limit": 0}, "shift.limit"),
        ({"model": "m", "per_text": 0}, "shift.per_text"),
        ({"model": "m", "attributes": ["formel"]}, "did you mean 'formal'"),
        ({"model": "m", "key_env": "X"}, "only a server"),
        ({"model": "m", "base_url": "nowhere"}, "an address like"),
        ({"model": "m", "modle": "x"}, "did you mean 'model'"),
    ]:
        with pytest.raises(RequestError, match=message):
            get({"name": "generated", **options})
    pictures = [Image.new("RGB", (9, 9), (i, 0, 0)) for i in range(20)]
    images = from_objects((pictures, [0, 1] * 10)).at(9)
    with pytest.raises(RequestError, match="expected texts, the data are images"):
        generated("m").prepared(supplies(images))
