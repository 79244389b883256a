"""Reductions by shift, t intervals, seen shifts, kinds apart, other metrics, ordinary models, mCE and nCE."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from tether.errors import RequestError
from tether.evaluation.corruption_error import ALEXNET, mce, relative_mce
from tether.evaluation.groups import Grouping
from tether.evaluation.headline import SetKey
from tether.report.comparison import compare_runs
from tether.report.measured import measure
from tether.report.records import Predictions


def row(comparison, method):
    return next(r for r in comparison.rows if r.method == method)


def hit_rate(run, evalset):
    return np.mean(
        [np.mean(s.probabilities.argmax(1) == s.labels) for s in run.sets if s.key.evalset == evalset]
    )


def accuracy(runs, method, evalset):
    return np.mean([hit_rate(r, evalset) for r in runs if r.method == method])


def test_both_aggregates_of_the_relative_reduction_by_hand(runs, comparison):
    def gap(method, evalset):
        return 1 - accuracy(runs, method, evalset) / accuracy(runs, method, "id_test")

    mine, theirs = ([gap(m, e) for e in ("optdigits", "street")] for m in ("rdft", "finetune"))
    r = row(comparison, "rdft")
    assert r.gap_reduction.value == pytest.approx((np.mean(theirs) - np.mean(mine)) / np.mean(theirs))
    ratios = [(t - m) / t for m, t in zip(mine, theirs, strict=True)]
    assert r.gap_reduction_mean.value == pytest.approx(np.mean(ratios))
    assert r.gap_reduction_shifts == 2
    for evalset, ratio in zip(("optdigits", "street"), ratios, strict=True):
        s = next(s for s in comparison.shifts if (s.method, s.key.evalset) == ("rdft", evalset))
        assert s.gap_reduction.value == pytest.approx(ratio)
        assert s.gap_reduction.low < ratio < s.gap_reduction.high


def test_a_shift_without_a_gap_of_the_reference_is_not_in_the_mean_of_ratios(runs):
    def easy(run):
        """optdigits as easy as the ID set for everybody: no gap to reduce."""
        inside = next(s for s in run.sets if s.key.kind == "id")
        return replace(
            run,
            sets=tuple(replace(inside, key=s.key) if s.key.evalset == "optdigits" else s for s in run.sets),
        )

    out = row(compare_runs([easy(r) for r in runs], resamples=100), "rdft")
    assert out.gap_reduction_shifts == 1
    assert out.gap_reduction.value > 0


def test_t_intervals_over_seeds_agree_with_scipy(runs, comparison):
    gaps = {
        m: [
            1 - (hit_rate(r, "optdigits") + hit_rate(r, "street")) / 2 / hit_rate(r, "id_test")
            for r in runs
            if r.method == m
        ]
        for m in ("rdft", "finetune")
    }
    change = np.subtract(gaps["rdft"], gaps["finetune"])
    low, high = stats.t.interval(0.95, 1, loc=change.mean(), scale=stats.sem(change))
    ours = row(comparison, "rdft").gap_change_over_seeds
    assert (ours.value, ours.low, ours.high) == pytest.approx((change.mean(), low, high))
    assert row(comparison, "rdft").gap_over_seeds.value == pytest.approx(np.mean(gaps["rdft"]))
    fewer = [r for r in runs if r.name != "rdft, seed 1"]
    assert not row(compare_runs(fewer, resamples=50), "rdft").gap_change_over_seeds.known


def test_a_headline_has_no_shift_that_any_method_saw(runs):
    cut = [replace(r, sets=tuple(s for s in r.sets if s.key.kind != "natural")) for r in runs]
    out = compare_runs(cut, resamples=50)
    assert row(out, "finetune").ood_accuracy.value == pytest.approx(
        accuracy(runs, "finetune", "gaussian_noise")
    )
    assert out.seen == ("fog", "mixup")
    assert any("fog: seen in training by rdft" in p for p in out.problems)


def test_with_every_shift_seen_nothing_is_claimed(runs):
    fog = [
        replace(r, sets=tuple(s for s in r.sets if s.key.kind == "id" or s.key.evalset == "fog"))
        for r in runs
    ]
    out = compare_runs(fog, resamples=50)
    assert row(out, "rdft").outcome == "not measured"
    assert row(out, "rdft").seen_accuracy.value == pytest.approx(accuracy(runs, "rdft", "fog"))
    assert any("no shifted set is left" in p for p in out.problems)


def test_a_natural_domain_is_not_seen_for_its_name(runs):
    named = [
        replace(
            r,
            sets=tuple(
                replace(s, key=SetKey("fog", "natural")) if s.key.evalset == "street" else s for s in r.sets
            ),
        )
        for r in runs
    ]
    assert row(compare_runs(named, resamples=50), "rdft").ood_accuracy.value == pytest.approx(
        (accuracy(runs, "rdft", "optdigits") + accuracy(runs, "rdft", "street")) / 2
    )


def test_adversarial_sets_are_in_no_other_mean(runs, comparison):
    def attacked(run):
        noise = [s for s in run.sets if s.key.evalset == "gaussian_noise"]
        turned = tuple(replace(s, key=SetKey("pgd", "adversarial", s.key.severity)) for s in noise)
        return replace(run, sets=(*run.sets, *turned))

    out = row(compare_runs([attacked(r) for r in runs], resamples=100), "rdft")
    before = row(comparison, "rdft")
    assert out.adversarial_accuracy.value == pytest.approx(accuracy(runs, "rdft", "gaussian_noise"))
    assert out.ood_accuracy.value == pytest.approx(before.ood_accuracy.value)
    assert out.synthetic_accuracy.value == pytest.approx(before.synthetic_accuracy.value)


def test_a_difference_inside_the_noise_is_called_so(runs, comparison):
    said = {s.outcome for s in comparison.shifts}
    assert said == {"reference", "better", "worse", "inside the noise"}
    for s in comparison.shifts:
        if s.outcome in ("better", "worse"):
            assert s.p_holm < 0.05
    copies = [replace(r, method="copy") for r in runs if r.method == "finetune"]
    out = compare_runs([*runs, *copies], resamples=100)
    assert {s.outcome for s in out.shifts if s.method == "copy"} == {"inside the noise"}


@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        ("balanced_accuracy", sk.balanced_accuracy_score),
        ("macro_f1", lambda y, g: sk.f1_score(y, g, average="macro")),
    ],
)
def test_another_headline_metric_against_sklearn(runs, metric, theirs):
    out = compare_runs(runs, resamples=100, metric=metric)
    mine = [
        [theirs(s.labels, s.probabilities.argmax(1)) for s in r.sets if s.key.evalset == e]
        for e in ("id_test", "optdigits", "street")
        for r in runs
        if r.method == "rdft"
    ]
    means = np.mean(np.reshape(mine, (3, 2)), axis=1)
    r = row(out, "rdft")
    assert out.metric == metric
    assert r.id_accuracy.value == pytest.approx(means[0])
    assert r.ood_accuracy.value == pytest.approx(means[1:].mean())
    assert r.id_accuracy.low < r.id_accuracy.value < r.id_accuracy.high
    assert math.isnan(r.gap_chance) == (metric == "macro_f1")
    assert "of accuracies" in out.line.reason
    assert out.corruption.name == ""


def test_accuracy_as_cells_is_accuracy(runs):
    """The general road and the short one draw the same resamples."""
    short = measure(runs, 50)
    for s in short[0].runs[0].sets:
        assert s.correct().mean() == pytest.approx(sk.accuracy_score(s.labels, s.probabilities.argmax(1)))
    even = [
        replace(r, sets=tuple(replace(s, grouping=Grouping(np.zeros(len(s.labels), int))) for s in r.sets))
        for r in runs
    ]
    general = measure(even, 50, metric="worst_group")  # of one group: accuracy
    for a, b in zip(short, general, strict=True):
        np.testing.assert_allclose(a.points, b.points)
        np.testing.assert_allclose(a.draws, b.draws)


def test_a_metric_over_groups_needs_groups(runs):
    with pytest.raises(RequestError, match=r"worst_group needs groups.*data\.subgroup"):
        compare_runs(runs, resamples=20, metric="worst_group")
    with pytest.raises(RequestError, match="did you mean 'macro_f1'"):
        compare_runs(runs, resamples=20, metric="macro_f")


def test_the_line_of_ordinary_models(runs, ordinary):
    out = compare_runs(runs, resamples=50)
    assert out.line.reason == "not fitted: 4 reference models, at least 8 are needed"
    assert math.isnan(row(out, "rdft").effective_robustness.value)
    out = compare_runs([*runs, *ordinary], resamples=200, reference="finetune")
    x = [r for r in [*runs, *ordinary] if r.method.split("-")[0] in ("linear_probe", "finetune")]
    inside = [hit_rate(r, "id_test") for r in x]
    shifted = [(hit_rate(r, "optdigits") + hit_rate(r, "street")) / 2 for r in x]
    fit = stats.linregress(np.log(np.divide(inside, np.subtract(1, inside))),
                           np.log(np.divide(shifted, np.subtract(1, shifted))))  # fmt: skip
    assert (out.line.slope, out.line.intercept) == pytest.approx((fit.slope, fit.intercept))
    assert out.line.references == 12
    r = row(out, "rdft")
    logit = np.log(r.id_accuracy.value / (1 - r.id_accuracy.value))
    line = 1 / (1 + np.exp(-(fit.slope * logit + fit.intercept)))
    assert r.effective_robustness.value == pytest.approx(r.ood_accuracy.value - line)
    assert r.effective_robustness.low < r.effective_robustness.value < r.effective_robustness.high


def test_nce_by_a_plain_loop_and_that_it_says_what_it_is(runs, comparison):
    table = comparison.corruption
    assert (table.name, table.against) == ("nCE", "finetune")
    assert table.reason == "mCE needs 1000 classes, this task has 3"
    ratio = (1 - accuracy(runs, "rdft", "gaussian_noise")) / (
        1 - accuracy(runs, "finetune", "gaussian_noise")
    )
    assert table.of("rdft").errors == {"gaussian_noise": pytest.approx(ratio)}  # fog was seen
    assert row(comparison, "rdft").corruption_error.value == pytest.approx(ratio)
    assert row(comparison, "finetune").corruption_error.value == pytest.approx(1)
    clean = {m: 1 - accuracy(runs, m, "id_test") for m in ("rdft", "finetune")}
    noise = {m: 1 - accuracy(runs, m, "gaussian_noise") for m in ("rdft", "finetune")}
    assert table.of("rdft").relative == pytest.approx(
        (noise["rdft"] - clean["rdft"]) / (noise["finetune"] - clean["finetune"])
    )


def imagenet(runs, side=224):
    """Two runs with a thousand classes and all 15 corruptions: each right on a fixed share of 40 examples."""
    out = []
    for r, good in zip((runs[0], runs[2]), (20, 30), strict=True):
        sets = []
        keys = [SetKey("id_test", "id"), *(SetKey(c, "synthetic", s) for c in ALEXNET for s in range(1, 6))]
        for key in [*keys, SetKey("frost_proc", "synthetic", 3)]:
            y = np.arange(40)
            guess = np.where(np.arange(40) < good - 2 * key.severity, y, y + 1)
            if key.evalset == "frost_proc":
                guess = y + 1  # all wrong: would show in any mean it entered
            p = np.zeros((40, 1000), np.float32)
            p[np.arange(40), guess] = 1
            sets.append(Predictions(key, np.arange(40), y, p))
        sets = tuple(sorted(sets, key=lambda s: s.key))
        classes = tuple(map(str, range(1000)))
        out.append(replace(r, sets=sets, classes=classes, picture_size=side, config={}, seed=0))
    return out


def test_mce_by_imagenets_protocol_and_only_by_that(runs):
    table = compare_runs(imagenet(runs), resamples=20).corruption
    assert (table.name, table.against, table.reason) == ("mCE", "AlexNet", "")
    errors = {c: {s: 1 - (20 - 2 * s) / 40 for s in range(1, 6)} for c in ALEXNET}
    assert 100 * table.of("linear_probe").mean.value == pytest.approx(mce(errors, 1000, 224))
    assert 100 * table.of("linear_probe").relative == pytest.approx(relative_mce(errors, 0.5, 1000, 224))
    assert "frost_proc" not in table.of("linear_probe").errors
    other = compare_runs(imagenet(runs, side=336), resamples=20).corruption
    assert other.name == "nCE"
    assert other.reason == "mCE needs pictures of 224 pixels, these have 336"
