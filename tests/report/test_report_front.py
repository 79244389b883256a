"""Front, reliability, confusion and weakest spots, each by a second road."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from tether.evaluation.headline import SetKey
from tether.report.calibration import reliability
from tether.report.comparison import compare_runs
from tether.report.curves import decisions, sweep_of
from tether.report.frontier import front
from tether.report.mistakes import confusion, matrices, weaknesses
from tether.report.records import Predictions
from tether.report.scatter import cost, id_ood_plot, mu_paths_plot, pareto_plot


def test_the_front_is_what_a_plain_walk_finds():
    rng = np.random.default_rng(0)
    for _ in range(50):
        costs, scores = rng.integers(0, 6, 12).astype(float), rng.integers(0, 6, 12).astype(float)
        best, walked = -1.0, set()
        for c in sorted(set(costs)):  # from the cheapest on, keep what is better than all cheaper ones
            here = scores[costs == c].max()
            if here > best:
                walked |= {i for i in range(12) if costs[i] == c and scores[i] == here}
                best = here
        assert set(front(costs, scores)) == walked


def test_what_is_not_known_is_never_on_the_front():
    assert front([1.0, np.nan, 2.0], [0.5, 0.9, np.nan]) == [0]
    assert front([], []) == []


def one_set(n=4000, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), n)
    y = rng.integers(0, classes, n)
    return Predictions(SetKey("id_test", "id"), np.arange(n), y, p.astype(np.float32))


def test_reliability_is_scikit_learns():
    s = one_set()
    top, hit = s.probabilities.max(axis=1).astype(np.float64), s.correct()
    right, confidence = calibration_curve(hit, top, n_bins=15)
    found = reliability([s], smallest=1)
    np.testing.assert_allclose(found.accuracy, right)
    np.testing.assert_allclose(found.confidence, confidence)
    by_hand = (found.count * np.abs(found.accuracy - found.confidence)).sum() / found.count.sum()
    assert found.ece == pytest.approx(by_hand)


def test_small_bins_are_not_shown_but_counted_in_the_error():
    s = one_set(60)
    assert len(reliability([s], smallest=12).count) < len(reliability([s], smallest=1).count)
    assert reliability([s], smallest=12).ece == reliability([s], smallest=1).ece


def test_confusion_is_scikit_learns(runs):
    mine = [run for run in runs if run.method == "finetune"]
    sets = [s for run in mine for s in run.sets if s.key.kind == "natural"]
    true = np.concatenate([s.labels for s in sets])
    guess = np.concatenate([s.probabilities.argmax(axis=1) for s in sets])
    np.testing.assert_array_equal(confusion(mine, "natural"), confusion_matrix(true, guess, labels=[0, 1, 2]))


def test_weakest_spots_by_a_plain_loop(comparison, runs):
    for row, w in zip(comparison.rows, weaknesses(comparison, runs), strict=True):
        assert w.method == row.method
        mine = [run for run in runs if run.method == row.method]
        worst = {}
        for c, name in enumerate(comparison.classes):
            hits = [
                float(p.argmax() == c)
                for run in mine
                for s in run.sets
                if s.key.kind == "natural"
                for y, p in zip(s.labels, s.probabilities, strict=True)
                if y == c
            ]
            worst[name] = np.mean(hits)
        assert w.ood_class.name == min(worst, key=worst.get)
        assert w.ood_class.accuracy == pytest.approx(min(worst.values()))
        assert w.ood_set.accuracy == pytest.approx(
            min(np.mean([r.sets[k].correct().mean() for r in mine]) for k in _natural(mine[0]))
        )


def _natural(run):
    return [k for k, s in enumerate(run.sets) if s.key.kind == "natural"]


def test_a_group_of_twenty_four_is_no_worst_group(comparison, runs):
    def first(run):
        return replace(
            run,
            sets=tuple(
                replace(s, ids=s.ids[:24], labels=s.labels[:24], probabilities=s.probabilities[:24])
                for s in run.sets
            ),
        )

    small = [first(run) for run in runs]
    for w in weaknesses(comparison, small):
        assert w.id_class is None
        assert w.ood_set is None


def test_rows_of_a_matrix_sum_to_one(comparison, runs):
    for m in matrices("rdft", comparison, runs):
        np.testing.assert_allclose(np.nansum(m.shares, axis=1), 1.0)


def test_more_than_forty_classes_have_no_matrix(comparison, runs):
    many = replace(comparison, classes=tuple(map(str, range(41))))
    assert matrices("rdft", many, runs) == []


def test_cost_counts_the_teachers(comparison):
    row = next(r for r in comparison.rows if r.method == "rdft")
    assert cost(row) == row.train_seconds + 12.25 + 4.5
    other = next(r for r in comparison.rows if r.method != "rdft")
    assert cost(other) == other.train_seconds
    label = pareto_plot(comparison).label
    assert "rdft: 49 s" in label  # (31.5 + 32.5) / 2 + 12.25 + 4.5
    assert "On the front: rdft" in label or ", rdft" in label.split(".")[1]


def test_a_method_that_trained_nothing_is_drawn_at_the_edge(comparison):
    rows = tuple(replace(r, train_seconds=0.0, teacher_seconds=0.0) for r in comparison.rows[:1])
    svg = pareto_plot(replace(comparison, rows=rows + comparison.rows[1:])).inline()
    assert ">none<" in svg
    unknown = tuple(replace(r, train_seconds=float("nan")) for r in comparison.rows)
    assert pareto_plot(replace(comparison, rows=unknown)) is None


def test_the_line_is_that_of_eight_ordinary_models_or_none(runs):
    def copies(count, made):
        """Runs of a method, half of them weak; the robust ones are there in either case."""
        out = [run for run in runs if run.method in ("rdft", "wise_ft")]
        for i in range(count):
            run = runs[2 * (i % 2)]
            out.append(replace(run, method=f"m{i}", config={**run.config, "method": {"name": made}}))
        return compare_runs(out, resamples=20)

    ordinary = copies(8, "finetune")
    line = ordinary.line
    said = f"Line of ordinary models: logit OOD = {line.slope:.2f} logit ID + {line.intercept:.2f}."
    assert line.references == 8
    assert said in id_ood_plot(ordinary).label
    assert "Line" not in id_ood_plot(copies(7, "finetune")).label
    assert "Line" not in id_ood_plot(copies(8, "rdft")).label  # ten robust models are no ordinary ones


def test_paths_of_mu_are_of_validation_and_only_where_something_was_merged(runs):
    drawing = mu_paths_plot(runs)
    assert "validation" in drawing.label
    assert "wise_ft" in drawing.label
    assert "rdft" not in drawing.label
    assert mu_paths_plot([run for run in runs if run.method != "wise_ft"]) is None
    sweep = sweep_of(next(run for run in runs if run.merge))
    assert list(sweep.mu[sweep.chosen]) == [0.5]


def test_decisions_are_the_changes_of_the_controller(runs):
    rows = (
        {"step": 10, "factors": {"robust": 1.0}, "reason": "warm"},
        {"step": 20, "factors": {"robust": 1.0}, "reason": "same"},
        {"step": 30, "factors": {"robust": 0.8}, "reason": "ID below its floor"},
        {"step": 40, "id_val": 0.5},
        {"step": None, "factors": {}, "reason": "x"},
    )
    found = decisions(replace(runs[0], validation=rows))
    assert found == [(10, "warm", "robust ×1"), (30, "ID below its floor", "robust ×0.8")]
