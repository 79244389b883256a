"""The stress test: one forward a batch, one set in memory, goes on after a kill, names a set gone wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tether.batch import Batch
from tether.data.ahead import ahead
from tether.errors import RequestError
from tether.evaluation import measure as room
from tether.evaluation.kept import FOLDER, Kept, Part
from tether.evaluation.measure import measure
from tether.evaluation.suite import EvalSet
from tether.methods import softmax_main
from tether.models.model import Model
from tether.shifts import Shift, on_pixels
from tether.training import Engine
from tiny import ListExamples, tiny_batch, tiny_model

ABOUT = {"run": "r", "method": "m", "seed": 0}


def noisy(calls: list[tuple[int, str]] | None = None) -> Shift:
    def add(x: torch.Tensor, severity: int, ids: Any, draws: Any) -> torch.Tensor:
        if calls is not None:
            calls.append((len(x), threading.current_thread().name))
        return (x + 0.1 * severity).clamp(0, 1)

    return Shift("brighter", "mine", "image", "more light", on_pixels(add))


def suite(sets: int, n: int = 10, calls: list[tuple[int, str]] | None = None) -> list[EvalSet]:
    examples: Any = ListExamples(tiny_batch(n))
    shifted = [EvalSet(f"c{i // 5}", "synthetic", i % 5 + 1, examples, noisy(calls)) for i in range(sets - 1)]
    return [EvalSet("id_test", "id", 0, examples), *shifted]


def run(folder: Path, sets: list[EvalSet], model: Model | None = None, fingerprint: str = "") -> Model:
    model = model or tiny_model()
    measure(model, softmax_main, sets, Engine("fp32"), 4, folder, ABOUT, "test", (), fingerprint)
    return model


def files(folder: Path) -> dict[str, bytes]:
    return {n: (folder / n).read_bytes() for n in ("predictions.parquet", "results.jsonl", "samples.json")}


def test_nineteen_corruptions_at_five_severities_run_the_model_once_a_batch(tmp_path: Path) -> None:
    calls: list[tuple[int, str]] = []
    model = run(tmp_path, suite(1 + 19 * 5, calls=calls))
    assert model.backbone.calls == [4, 4, 2] * 96
    made = [n for n, _ in calls if n != 3]  # of 3 samples each: the gallery's
    assert made == [4, 4, 2] * 95


def test_the_next_batch_is_made_in_another_thread_and_changes_no_number(tmp_path: Path) -> None:
    calls: list[tuple[int, str]] = []
    sets = suite(3, calls=calls)
    model = run(tmp_path, sets)
    assert any(name.startswith("tether-batches") for n, name in calls if n == 4)
    plain = [softmax_main.run(model, sets[1].batch(range(s, min(s + 4, 10)))) for s in (0, 4, 8)]
    table = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    found = [r["probabilities"] for r in table if r["severity"] == 1]
    assert np.array_equal(torch.cat(plain).detach().numpy(), np.asarray(found, np.float32))


def test_what_goes_wrong_in_the_thread_reaches_the_caller() -> None:
    def source() -> Any:
        yield tiny_batch(2)
        raise RequestError("a picture is gone")

    found = ahead(source())
    assert len(next(found)) == 2
    with pytest.raises(RequestError, match="a picture is gone"):
        next(found)


def test_one_set_is_in_memory_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0
    predict, parts = room.predict_set, Kept.read

    def note(thing: Any) -> Any:
        nonlocal most
        most = max(most, 1 + sum(r() is not None for r in alive))
        alive.append(weakref.ref(thing))
        return thing

    def predicted(*given: Any) -> Any:
        return note(predict(*given))

    def read(self: Kept, evalset: EvalSet) -> Part:
        return note(parts(self, evalset))

    monkeypatch.setattr(room, "predict_set", predicted)
    monkeypatch.setattr(Kept, "read", read)
    run(tmp_path, suite(31))
    assert len(alive) == 62
    assert most <= 2  # this one, and the last until its name is taken


CHILD = """
import os, sys
sys.path[:0] = [{tests!r}, {here!r}]
import torch; torch.set_num_threads(1)
from pathlib import Path
from tether.evaluation import measure as room
import test_measure as t
predict, done = room.predict_set, []
def killed(model, rule, evalset, *rest):
    if len(done) == 3:
        os.kill(os.getpid(), {signal})
    done.append(evalset)
    return predict(model, rule, evalset, *rest)
room.predict_set = killed
t.run(Path({folder!r}), t.suite(7))
"""


def test_killed_between_sets_it_goes_on_with_the_next_and_ends_at_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    run(whole, suite(7))
    here = Path(__file__).parent
    code = CHILD.format(tests=str(here.parent), here=str(here), signal=int(signal.SIGKILL), folder=str(cut))
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert len(list((cut / FOLDER).glob("*.parquet"))) == 3
    assert not (cut / "results.jsonl").exists()

    again = run(cut, suite(7))
    assert again.backbone.calls == [4, 4, 2] * 4  # three of seven were there
    assert files(cut) == files(whole)
    assert not (cut / FOLDER).exists()


@pytest.mark.parametrize(
    ("change", "forwards"),
    [
        (lambda model: None, 3 * 0),
        (lambda model: next(model.parameters()).data.mul_(1.001), 3 * 3),
    ],
)
def test_finished_sets_of_other_weights_are_never_used(
    change: Callable[[Model], Any], forwards: int, tmp_path: Path
) -> None:
    sets = suite(3)
    first = tiny_model()
    with pytest.raises(InterruptedError):
        run(tmp_path, [*sets, _stops(sets[0])], first)
    model = tiny_model()
    change(model)
    run(tmp_path, sets, model)
    assert len(model.backbone.calls) == forwards


def test_finished_sets_of_another_config_are_never_used(tmp_path: Path) -> None:
    sets = suite(2)
    with pytest.raises(InterruptedError):
        run(tmp_path, [*sets, _stops(sets[0])], fingerprint="a")
    assert len(run(tmp_path, sets, fingerprint="b").backbone.calls) == 6


def _stops(evalset: EvalSet) -> EvalSet:
    def stop(x: torch.Tensor, *_: Any) -> torch.Tensor:
        raise InterruptedError

    return replace(
        evalset, name="last", shift=Shift("stop", "mine", "image", "", on_pixels(stop)), severity=1
    )


def test_a_set_that_is_not_finite_is_named_and_the_sets_before_it_are_kept(tmp_path: Path) -> None:
    sets = suite(4)

    def spoil(batch: Batch) -> Batch:
        x = batch.x.clone()
        x[0] = float("nan")
        return replace(batch, x=x)

    class Spoilt(ListExamples):
        def batch(self, rows: Any) -> Batch:
            return spoil(super().batch(rows))

    sets[2] = replace(sets[2], examples=Spoilt(tiny_batch(10)), shift=None)
    with pytest.raises(
        RequestError, match=r"not finite on c0 2, for 3 of 10 samples.*Finished sets are kept"
    ):
        run(tmp_path, sets)
    assert len(list((tmp_path / FOLDER).glob("*.parquet"))) == 2
    assert not (tmp_path / "results.jsonl").exists()
    assert run(tmp_path, suite(4)).backbone.calls == [4, 4, 2] * 2  # the two sets before it were found


def test_rows_are_those_of_the_predictions_and_samples_those_of_the_sets(tmp_path: Path) -> None:
    run(tmp_path, suite(3))
    table = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    for line in (tmp_path / "results.jsonl").read_text().splitlines():
        row = json.loads(line)
        mine = [r for r in table if (r["evalset"], r["severity"]) == (row["evalset"], row["severity"])]
        if row["metric"] == "accuracy":
            hits = [int(np.argmax(r["probabilities"]) == r["label"]) for r in mine]
            assert row["value"] == sum(hits) / len(hits)
    shown = json.loads((tmp_path / "samples.json").read_text())
    by_set = {k: [s["id"] for s in shown if s["severity"] == k] for k in (0, 1, 2)}
    assert [s["severity"] for s in shown] == sorted(s["severity"] for s in shown)
    assert len(by_set[1]) == len(by_set[2]) == 3
    # Of a clean set mistakes are kept too, for the gallery of disagreements.
    wrong = [r["id"] for r in table if r["severity"] == 0 and np.argmax(r["probabilities"]) != r["label"]]
    assert set(by_set[0]) == {*by_set[1], *wrong[:12]}


def test_a_whole_run_says_what_it_cost_and_leaves_no_parts(tmp_path: Path) -> None:
    import tether
    from project import make_project

    config = str(make_project(tmp_path))
    run = tether.train(config, method="lora")
    assert not (run.folder / FOLDER).exists()
    cost = run.summary
    assert cost["train_step_flops"] > 16 * cost["inference_flops"] > 0
    assert cost["inference_flops_unmerged"] > cost["inference_flops"]
    assert cost["train_samples_per_second"] == pytest.approx(16 / cost["step_seconds"])
    assert cost["evaluate_device_hours"] == pytest.approx(cost["evaluate_seconds"] / 3600)
    quiet = tether.train(config, ["evaluate.efficiency=false"], method="lora", output=str(tmp_path / "quiet"))
    assert "latency_seconds" not in quiet.summary
    assert quiet.summary["train_step_flops"] is None
    same = [(f / "predictions.parquet").read_bytes() for f in (run.folder, quiet.folder)]
    assert same[0] == same[1]  # measuring moves no number
