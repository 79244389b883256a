"""A soup through the whole line: ingredients cached and counted, the mix recorded, runs mixed afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tether
from project import make_project
from tether.errors import RequestError
from tether.finish import Scores
from tether.inference import load
from tether.models.save import save_model
from tether.soups import soup_of

SMALL = {"name": "soup", "lr_scales": [1.0, 1.0, 0.5], "augmented": [False, True, False]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path, method=SMALL, train={"steps": 3, "batch_size": 16, "lr": 1e-3})


def rows(run: tether.Run) -> list[dict]:
    return [json.loads(line) for line in (run.folder / "blend.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_a_uniform_soup_is_the_mean_of_its_own_run_and_the_cached_ones(config: Path, tmp_path: Path) -> None:
    one = tether.train(str(config), ["method.kind=uniform"], output=str(tmp_path / "soup"))
    assert [(r["name"], r["used"]) for r in rows(one)] == [("own", True), ("2", True), ("3", True)]
    kept = sorted((tmp_path / "cache" / "teachers").iterdir())
    assert [p.name.rsplit("-", 1)[0] for p in kept] == ["aug_ce", "lp_ft"]
    seconds = [json.loads((p / "teacher.json").read_text())["train_seconds"] for p in kept]
    assert one.summary["teacher_seconds"] == pytest.approx(sum(seconds))
    own = tether.train(str(config), method="lp_ft", output=str(tmp_path / "own"))
    states = [load_file(p / "model.safetensors") for p in kept]
    # The three start at one point and end at three; a saved layer holds the mean of the trained ones.
    layer = "encoder.layer.1.output.dense.weight"
    name = next(n for n in states[0] if n.endswith(layer))
    mine = next(v for n, v in weights(own.folder).items() if n.endswith(layer))
    mixed = next(v for n, v in weights(one.folder).items() if n.endswith(layer))
    assert not torch.equal(mine, states[0][name])
    assert not torch.equal(states[1][name], states[0][name])
    torch.testing.assert_close(mixed, (mine + states[0][name] + states[1][name]) / 3)


def test_another_seed_shares_no_ingredient_and_a_greedy_one_shares_all(config: Path, tmp_path: Path) -> None:
    tether.train(str(config), ["method.kind=uniform"], output=str(tmp_path / "a"))
    cache = tmp_path / "cache" / "teachers"
    before = {p.name: (p / "teacher.json").stat().st_mtime_ns for p in cache.iterdir()}
    greedy = tether.train(str(config), output=str(tmp_path / "b"))
    assert {p.name: (p / "teacher.json").stat().st_mtime_ns for p in cache.iterdir()} == before
    assert greedy.summary["teacher_seconds"] > 0
    assert rows(greedy)[0]["used"]
    best = max(r["alone"]["id_val"] for r in rows(greedy))
    assert greedy.summary["id_val_accuracy"] >= best
    tether.train(str(config), ["method.kind=uniform"], seed=1, output=str(tmp_path / "c"))
    assert len(list(cache.iterdir())) == 2 * len(before)


def test_finished_runs_are_mixed_afterwards(config: Path, tmp_path: Path) -> None:
    from_probe = {"name": "lora", "start": "probe"}
    runs = [
        tether.train(str(config), method=m, seed=s, output=str(tmp_path / f"{m['name']}{s}")).folder
        for m, s in (({"name": "lp_ft"}, 0), ({"name": "lp_ft"}, 1), (from_probe, 0))
    ]
    model, told = soup_of(runs)
    assert [r.name for r in told] == [str(r) for r in runs]
    states = [dict(load(r).named_parameters()) for r in runs]
    for name, value in model.named_parameters():
        want = sum(s[name].detach().double() for s in states) / 3
        torch.testing.assert_close(value.detach().double(), want, rtol=1e-5, atol=1e-7)
    save_model(model, tmp_path / "mixed")
    assert load(tmp_path / "mixed").classes == model.classes

    only_first, told = soup_of(runs[:2], judge=_likes_the_first(runs))
    assert [(r.name, r.used) for r in told] == [(str(runs[0]), True), (str(runs[1]), False)]
    assert all(torch.equal(p, states[0][n]) for n, p in only_first.named_parameters())


def _likes_the_first(runs: list[Path]):
    first = dict(load(runs[0]).named_parameters())

    def judge(model) -> Scores:
        same = all(torch.equal(p, first[n]) for n, p in model.named_parameters())
        return Scores(0.9 if same else 0.5, None, 24)

    return judge


def test_runs_of_unlike_starts_are_refused(config: Path, tmp_path: Path) -> None:
    runs = [
        tether.train(str(config), method="finetune", seed=s, output=str(tmp_path / f"f{s}")).folder
        for s in (0, 1)
    ]
    with pytest.raises(RequestError, match="start of the head"):
        soup_of(runs)
    with pytest.raises(RequestError, match="two runs or more"):
        soup_of(runs[:1])
    with pytest.raises(RequestError, match="expected a tether run"):
        soup_of([runs[0], tmp_path / "nothing"])
