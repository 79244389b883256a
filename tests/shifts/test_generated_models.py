"""The back ends: sampling by a second road, tiny random models, a server with hand-made answers."""

from __future__ import annotations

import json
import os
import socket

import numpy as np
import pytest
import torch
from language_models import VOCABULARY, causal, said, seq2seq, server
from scipy import stats

from tether.errors import RequestError
from tether.shifts.generated.endpoint import ATTEMPTS, Endpoint
from tether.shifts.generated.language_model import LanguageModel, model_id
from tether.shifts.generated.prompts import Prompt
from tether.shifts.generated.sampling import GumbelNoise, nucleus
from tether.shifts.generated.writer import Reply, Sampling, task_of

CPU = torch.device("cpu")
PLAIN = Sampling()
SHORT = Prompt("short", "we saw it : {text}\nand it is :")


def tasks(n: int = 6, sampling: Sampling = PLAIN):
    texts = [f"the film was {'very ' * i}good" for i in range(n)]
    return [task_of(t, SHORT, "m", sampling) for t in texts]


def test_nucleus_is_the_librarys_and_by_hand():
    from transformers import TopPLogitsWarper

    scores = torch.randn(50, 40, generator=torch.Generator().manual_seed(0)) * 3
    for p in (0.1, 0.5, 0.9, 0.99):
        want = TopPLogitsWarper(p)(None, scores)
        assert torch.equal(nucleus(scores, p), want)
    by_hand = nucleus(torch.tensor([[0.5, 0.2, 0.3]]).log(), 0.7)
    assert torch.isfinite(by_hand).tolist() == [[True, False, True]]


def test_the_noise_draws_from_the_softmax():
    """Gumbel-max: the argmax must follow softmax(scores / T) over the nucleus, renormalised."""
    n, scores = 30_000, torch.tensor([1.0, 0.2, -0.5, 2.0, -3.0])
    noise = GumbelNoise(torch.arange(n) * 977, 3, 0.8, 0.99)
    got = noise(torch.zeros(n, 5, dtype=torch.long), scores.expand(n, 5)).argmax(-1)
    chance = nucleus(scores[None] / 0.8, 0.99).softmax(-1)[0].double().numpy()
    kept = chance > 0
    assert kept.tolist() == [True, True, True, True, False]
    counts = np.bincount(got.numpy(), minlength=5)
    assert counts[~kept].sum() == 0
    assert stats.chisquare(counts[kept], chance[kept] * n).pvalue > 1e-3
    other = noise(torch.zeros(n, 6, dtype=torch.long), scores.expand(n, 5)).argmax(-1)
    assert (other == got).float().mean() < 0.7  # the next token draws anew


@pytest.mark.parametrize("kind", ["causal", "chat", "seq2seq"])
def test_replies_do_not_hang_on_the_batch(tmp_path, kind):
    folder = seq2seq(tmp_path / "m") if kind == "seq2seq" else causal(tmp_path / "m", chat=kind == "chat")
    model = LanguageModel(str(folder), None, Sampling(), CPU)
    assert (model.chats, model.translates) == (kind == "chat", kind == "seq2seq")
    together = model.write(tasks())
    alone = [model.write([t])[0] for t in tasks()]
    assert together == alone
    assert model.write(tasks()[::-1]) == together[::-1]
    assert len({r.text for r in together}) > 3
    other = model.write(tasks(sampling=Sampling(seed=1)))
    assert [r.text for r in other] != [r.text for r in together]
    for task, reply in zip(tasks(), together, strict=True):
        assert len(reply.text.split()) <= model.limit(task.text)
        assert set(reply.text.split()) <= set(VOCABULARY)


def test_global_random_state_is_neither_read_nor_moved(tmp_path):
    model = LanguageModel(str(causal(tmp_path / "m")), None, Sampling(), CPU)
    first = model.write(tasks())
    torch.rand(5)
    before = torch.get_rng_state()
    assert model.write(tasks()) == first
    assert torch.equal(torch.get_rng_state(), before)


def test_limits_of_length(tmp_path):
    model = LanguageModel(str(causal(tmp_path / "m", positions=64)), None, Sampling(), CPU)
    assert model.limit("good " * 10) == 16  # the floor
    assert model.limit("good " * 20) == 30  # 1.5 times
    long = task_of("good " * 60, SHORT, "m", Sampling())
    replies = model.write([*tasks(2), long])
    assert replies[2] == Reply("", False)
    assert all(r.text for r in replies[:2])
    cut = [r for r in model.write(tasks(12)) if not r.finished]
    assert all(len(r.text.split()) <= 30 for r in cut)


def test_a_causal_reply_ends_with_its_line(tmp_path):
    model = LanguageModel(str(causal(tmp_path / "m")), None, Sampling(), CPU)
    model.tokenizer.decode = lambda tokens, **_: "  a first line\nand more"
    assert model._reply([5, 6, 7], 10) == Reply("a first line", True)
    model.tokenizer.decode = lambda tokens, **_: " ".join(map(str, tokens))
    assert model._reply([5, 6, 1, 7], 10) == Reply("5 6", True)  # 1 ends a text
    assert model._reply([5, 6, 7, 8], 3) == Reply("5 6 7", False)
    assert "\n" not in model._prompt(task_of("two\nlines", Prompt("x", "{text}"), "m", Sampling()))


def test_a_models_id_follows_its_files(tmp_path):
    folder = causal(tmp_path / "m")
    one = model_id(str(folder), None)
    assert one == model_id(str(folder), None)
    (folder / "model.safetensors").write_bytes(b"other")
    assert model_id(str(folder), None) != one
    assert model_id("a/b", None) == "a/b@main"
    with pytest.raises(RequestError, match="a language model of the transformers library"):
        LanguageModel(str(tmp_path), None, Sampling(), CPU)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def test_the_server_gets_what_the_interface_says(monkeypatch):
    monkeypatch.setenv("TINY_KEY", "secret-1")
    seen = []

    def answer(body, headers, before):
        seen.append((body, headers))
        return said(f" {body['messages'][0]['content'].split()[4]} ")

    with server(answer) as address:
        end = Endpoint(address + "/", "some-model", "TINY_KEY", Sampling(seed=5), parallel=3)
        replies = end.write(tasks(5))
    assert replies == [Reply("the", True)] * 5
    for body, headers in seen:
        assert body["path"] == "/v1/chat/completions"
        assert (body["model"], body["temperature"], body["top_p"]) == ("some-model", 0.8, 0.9)
        assert headers["Authorization"] == "Bearer secret-1"
        assert [m["role"] for m in body["messages"]] == ["user"]
        assert body["max_tokens"] >= 16
        assert 0 <= body["seed"] < 2**31
    assert len({body["seed"] for body, _ in seen}) == 5


def test_the_server_fails_and_recovers():
    waits = []

    def answer(body, headers, before):
        return [(429, {"Retry-After": "7"}, b"slow"), (503, {}, b"busy"), said("fine", "length")][before]

    with server(answer) as address:
        end = Endpoint(address, "m", None, Sampling(), sleep=waits.append)
        assert end.write(tasks(1)) == [Reply("fine", False)]
    assert waits == [7.0, 2.0]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((401, {}, b'{"error": "wrong key secret-2"}'), r"status 401 .*wrong key \[key\]"),
        ((404, {}, b"no such model"), "status 404 .*no such model"),
        ((307, {"Location": "http://127.0.0.1:9/x"}, b""), "status 307"),
        ((200, {}, b"<html>hello"), "OpenAI-compatible"),
        ((200, {}, b'{"choices": []}'), "OpenAI-compatible"),
        ((200, {}, b"[1]"), "OpenAI-compatible"),
    ],
)
def test_what_no_second_attempt_mends_is_said_at_once(monkeypatch, reply, message):
    monkeypatch.setenv("TINY_KEY", "secret-2")
    calls = []
    with server(lambda body, headers, before: calls.append(before) or reply) as address:
        end = Endpoint(address, "m", "TINY_KEY", Sampling(), parallel=1, sleep=lambda s: None)
        with pytest.raises(RequestError, match=message) as error:
            end.write(tasks(1))
    assert calls == [0]
    assert "secret-2" not in str(error.value)


def test_an_unreachable_or_slow_server_is_given_up():
    waits = []
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        held.listen()  # takes connections and never answers
        end = Endpoint(f"http://127.0.0.1:{port}/v1", "m", None, Sampling(), timeout=0.1, sleep=waits.append)
        with pytest.raises(RequestError, match=f"did not answer in {ATTEMPTS} attempts"):
            end.write(tasks(1))
    assert waits == [1.0, 2.0, 4.0, 8.0]
    with server(lambda body, headers, before: said(None) if before == 4 else (500, {}, b"x")) as address:
        end = Endpoint(address, "m", None, Sampling(), sleep=lambda s: None)
        assert end.write(tasks(1)) == [Reply("", True)]


def test_addresses_and_keys_that_are_refused(monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("TINY_KEY", "k")
    for address, key, message in [
        ("localhost:8000", None, "an address like"),
        ("ftp://x/v1", None, "an address like"),
        ("http://me:pass@localhost/v1", None, "no user, password"),
        ("http://localhost/v1?key=1", None, "no user, password"),
        ("http://far.example/v1", "TINY_KEY", "use https"),
        ("http://localhost/v1", "NOT_SET", "NOT_SET is not set"),
    ]:
        with pytest.raises(RequestError, match=message):
            Endpoint(address, "m", key, Sampling())
    with pytest.raises(RequestError) as error:
        Endpoint("http://localhost/v1", "m", "sk-1234-secret", Sampling())
    assert "1234" not in str(error.value)
    assert Endpoint("http://far.example/v1", "m", None, Sampling()).url.endswith("/v1/chat/completions")
    assert (
        json.dumps(Endpoint("http://localhost/v1", "m", "TINY_KEY", Sampling()).__dict__, default=str).find(
            '"k"'
        )
        < 0
    )
