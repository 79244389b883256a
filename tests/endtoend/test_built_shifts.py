"""Training with shifts that are built from a pool, and from a language model behind a server."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import pytest

import tether
from project import all_rows, make_project

sys.path.insert(0, str(Path(__file__).parents[1] / "shifts"))
from language_models import said, server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def test_a_run_with_retrieved_and_generated_views(tmp_path):
    def answer(body, headers, before):
        text = body["messages"][0]["content"].partition("Text: ")[2].partition("\nRewritten")[0]
        return said(text.replace("film", "movie now").replace("day", "day outside").replace("it", "this one"))

    pool = tmp_path / "pool.txt"
    words = ("good", "bad", "fine", "poor", "film", "day", "very", "not", "the", "is", "was", "it")
    pool.write_text(
        "\n".join(" ".join(p) for p in itertools.islice(itertools.permutations(words, 5), 0, 90000, 900))
    )
    with server(answer) as address:
        shifts = [
            {"name": "retrieved", "pool": str(pool), "near": 1.0, "weight": 2},
            {"name": "generated", "model": "x", "base_url": address, "attributes": ["formal"]},
            "word_swap",
        ]
        config = make_project(tmp_path, method={"name": "rdft", "shifts": shifts, "target": "shifted"})
        run = tether.train(str(config))
    assert run.summary["seen_shifts"] == ["generated", "retrieved", "word_swap"]
    again = tether.train(str(config), output=str(tmp_path / "again"), seed=1)  # the server is gone
    assert again.summary["id_accuracy"] >= 0
    replies = next((tmp_path / "cache" / "generated").glob("*.jsonl")).read_text().splitlines()
    assert len(replies) == sum(r["split"] == "train" for r in all_rows())
