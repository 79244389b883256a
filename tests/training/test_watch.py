"""Controllers, early stopping and averages in the loop: they steer, are logged, and resume exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tether.errors import Interrupted, RequestError
from tether.finish import Scores
from tether.finish.average import ema, swa
from tether.objective import Term
from tether.objective.controller import id_floor, primal_dual
from tether.training.fit import Fitted
from training.test_fit import RDFT_LIKE, weights
from training.test_fit import train as fit_tiny


def scripted(scores):
    """A judge that gives these ID scores in turn, whatever the model is."""
    left = list(scores)

    def judge(model):
        model.eval()  # as the real one leaves it
        value = left.pop(0)
        return Scores(*value) if isinstance(value, tuple) else Scores(value, None, 1000)

    return judge


def train(folder: Path, method, judge, steps=20, **recipe) -> tuple[torch.nn.Module, Fitted]:
    return fit_tiny(folder, method, steps, judge=judge, checkpoint_every=1, **recipe)


def looks(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]


def logged(folder: Path, term: str) -> list[float]:
    rows = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["weights"][term] for line in rows]


def test_a_low_id_lowers_the_weights_from_the_next_step_on(tmp_path: Path) -> None:
    method = replace(RDFT_LIKE, controller=id_floor(reference=0.9, every=5))
    train(tmp_path, method, scripted([0.5] * 4))
    reasons = [row["reason"] for row in looks(tmp_path)]
    assert [row["step"] for row in looks(tmp_path)] == [5, 10, 15, 20]
    assert reasons[-1] == "frozen"
    assert all("below its floor" in r for r in reasons[:3])
    robust = logged(tmp_path, "robust")
    one, two = 0.6703200460356393, 0.44932896411722156  # exp(-0.4), exp(-0.8)
    assert robust[:5] == [1.0] * 5
    assert robust[5:10] == pytest.approx([one] * 5)
    assert robust[10:15] == pytest.approx([two] * 5)
    assert logged(tmp_path, "ce") == [1.0] * 20  # not a regulariser
    assert logged(tmp_path, "rar")[5] == pytest.approx(0.3 * one)


def test_no_controller_and_an_idle_one_give_the_same_weights_to_the_bit(tmp_path: Path) -> None:
    plain, _ = train(tmp_path / "a", RDFT_LIKE, None)
    idle = replace(RDFT_LIKE, controller=id_floor(reference=0.5, tolerance=0.0, every=5))
    other, _ = train(tmp_path / "b", idle, scripted([0.5] * 4))
    assert all(torch.equal(v, weights(other)[n]) for n, v in weights(plain).items())


def test_primal_dual_reads_the_term_it_holds(tmp_path: Path) -> None:
    method = replace(RDFT_LIKE, controller=primal_dual(1.0, limit=0.0, rate=100.0, every=5))
    train(tmp_path, method, scripted([0.5] * 4))
    assert logged(tmp_path, "robust")[-1] > 1.0
    assert "robust" in looks(tmp_path)[1]["reason"]


def test_early_stopping_keeps_the_best_weights(tmp_path: Path) -> None:
    kept = {}

    def judge(model):
        score = [0.5, 0.8, 0.7, 0.7, 0.7, 0.7][len(kept)]
        kept[len(kept)] = weights(model)
        return Scores(score, None, 100)

    model, fitted = train(tmp_path, RDFT_LIKE, judge, patience=2, validate_every=3)
    assert fitted.steps == 12  # the best at 6, then two looks without a better one
    assert all(torch.equal(v, kept[1][n]) for n, v in weights(model).items())
    again, fitted = train(tmp_path, RDFT_LIKE, scripted([]), patience=2, validate_every=3)
    assert fitted.steps == 12  # the checkpoint knows that training ended
    assert all(torch.equal(v, kept[1][n]) for n, v in weights(again).items())


def test_ood_decides_among_steps_of_good_id(tmp_path: Path) -> None:
    script = [(0.80, 0.5, 9), (0.79, 0.6, 9), (0.70, 0.9, 9), (0.90, 0.4, 9), (0.90, 0.3, 9), (0.8, 0.9, 9)]
    train(tmp_path, RDFT_LIKE, scripted(script), steps=18, patience=9, validate_every=3)
    # The fourth takes over though its OOD is lower: what went before lies below the new floor.
    assert [row["best"] for row in looks(tmp_path)] == [True, True, False, True, False, False]


@pytest.mark.parametrize(
    "method",
    [
        replace(RDFT_LIKE, controller=id_floor(reference=0.9, every=4)),
        replace(RDFT_LIKE, controller=primal_dual(1.0, every=4)),
        replace(RDFT_LIKE, average=ema(0.9)),
        replace(RDFT_LIKE, average=swa(0.6)),
    ],
    ids=["id_floor", "primal_dual", "ema", "swa"],
)
@pytest.mark.parametrize("cut", [6, 17])
def test_a_run_that_was_stopped_ends_at_the_same_weights(method, cut: int, tmp_path: Path) -> None:
    import os
    import signal

    script = [0.6, 0.95, 0.8, 0.92, 0.7]
    recipe = {"patience": None if method.average else 4, "validate_every": 4}
    whole, _ = train(tmp_path / "whole", method, scripted(script), **recipe)

    def interrupt(f):
        if f._draws.step == cut:
            os.kill(os.getpid(), signal.SIGINT)
        return f.student().logits["main"].sum(-1) * 0.0

    watched = replace(method, terms=(*method.terms, Term("watch", interrupt)))
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", watched, scripted(script), **recipe)
    done = (cut + 1) // 4
    resumed, _ = train(tmp_path / "cut", method, scripted(script[done:]), **recipe)
    assert all(torch.equal(v, weights(resumed)[n]) for n, v in weights(whole).items())
    if method.controller:
        assert looks(tmp_path / "cut") == looks(tmp_path / "whole")


def test_ema_is_the_mean_of_what_was_seen(tmp_path: Path) -> None:
    """Second road: the weights after each step, recorded by a term of a run without averaging."""
    seen = []

    def record(model):
        seen.append(weights(model))
        return Scores(0.5, None, 1)

    train(tmp_path / "a", RDFT_LIKE, record, steps=6, patience=99, validate_every=1)
    model, _ = train(tmp_path / "b", replace(RDFT_LIKE, average=ema(0.5)), None, steps=6)
    share = torch.tensor([0.5 ** (6 - k) for k in range(6)])
    for name, value in weights(model).items():
        expected = sum(w * s[name] for w, s in zip(share / share.sum(), seen, strict=True))
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)


def test_an_average_and_early_stopping_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="patience"):
        train(tmp_path, replace(RDFT_LIKE, average=ema()), scripted([0.5] * 9), patience=2)
