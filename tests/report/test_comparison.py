import math
from dataclasses import replace

import numpy as np
import pytest

from tether.errors import RequestError
from tether.evaluation.bootstrap import paired_gap_reduction
from tether.evaluation.headline import SetKey
from tether.evaluation.statistics import UNKNOWN, Interval
from tether.report.comparison import compare_runs
from tether.report.measured import measure
from tether.report.verdicts import outcome, percent, verdict


def row(comparison, method):
    return next(r for r in comparison.rows if r.method == method)


def scores(runs, method, evalset):
    """(S, N) by a plain loop over the runs."""
    return np.array(
        [
            [float(p.argmax() == y) for p, y in zip(s.probabilities, s.labels, strict=True)]
            for r in runs
            if r.method == method
            for s in r.sets
            if s.key.evalset == evalset
        ]
    )


def test_points_by_a_plain_loop(runs, comparison):
    for r in comparison.rows:
        inside = scores(runs, r.method, "id_test").mean()
        ood = (scores(runs, r.method, "optdigits").mean() + scores(runs, r.method, "street").mean()) / 2
        synthetic = scores(runs, r.method, "gaussian_noise").mean()  # rdft saw fog in training
        assert r.id_accuracy.value == pytest.approx(inside)
        assert r.ood_accuracy.value == pytest.approx(ood)
        assert r.gap.value == pytest.approx(1 - ood / inside)
        assert r.synthetic_gap.value == pytest.approx(1 - synthetic / inside)
        assert r.gap_chance == pytest.approx(1 - (ood - 1 / 3) / (inside - 1 / 3))
        assert r.gap.low < r.gap.value < r.gap.high
        assert r.gap_chance_low < r.gap_chance < r.gap_chance_high
        assert r.natural_accuracy == r.ood_accuracy
        assert r.seen_accuracy.value == pytest.approx(scores(runs, r.method, "fog").mean())
        assert math.isnan(r.adversarial_accuracy.value)


def test_reduction_agrees_with_the_two_method_bootstrap(runs, comparison):
    """Another stream of draws and another code path; the ends differ by Monte Carlo error."""
    parts = [
        (scores(runs, m, "id_test"), [scores(runs, m, "optdigits"), scores(runs, m, "street")])
        for m in ("rdft", "finetune")
    ]
    other = paired_gap_reduction(*parts, resamples=2000, seed=9)
    ours = row(comparison, "rdft").gap_reduction
    assert ours.value == pytest.approx(other.value)
    assert (ours.low, ours.high) == pytest.approx((other.low, other.high), abs=0.02)


def test_reference_is_finetune_and_comes_first(comparison):
    assert comparison.reference == "finetune"
    first = comparison.rows[0]
    assert (first.method, first.outcome, first.inside_noise) == ("finetune", "reference", False)
    assert math.isnan(first.gap_reduction.value)
    assert first.seeds == (0, 1)


def test_reference_falls_back_to_the_first_and_can_be_chosen(runs):
    rest = [r for r in runs if r.method != "finetune"]
    assert compare_runs(rest, resamples=50).reference == "linear_probe"
    assert compare_runs(runs, reference="rdft", resamples=50).rows[0].method == "rdft"
    with pytest.raises(RequestError, match="did you mean 'wise_ft'"):
        compare_runs(runs, reference="wiseft", resamples=50)


def test_same_runs_same_numbers(runs):
    assert repr(compare_runs(runs, resamples=50)) == repr(compare_runs(runs, resamples=50))


def test_a_copy_of_the_reference_is_inside_the_noise(runs):
    copies = [replace(r, method="copy") for r in runs if r.method == "finetune"]
    out = compare_runs([*runs, *copies], resamples=200)
    copy = row(out, "copy")
    assert copy.gap_reduction.value == pytest.approx(0)
    assert copy.inside_noise
    assert "inside the noise" in copy.verdict


def test_headline_falls_back_to_synthetic_sets(runs):
    cut = [replace(r, sets=tuple(s for s in r.sets if s.key.kind != "natural")) for r in runs]
    out = compare_runs(cut, resamples=50)
    assert out.ood_kind == "synthetic"
    assert out.rows[0].ood_accuracy.value == pytest.approx(out.rows[0].synthetic_accuracy.value)


def test_without_any_shift_nothing_is_claimed(runs):
    cut = [replace(r, sets=tuple(s for s in r.sets if s.key.kind == "id")) for r in runs]
    other = compare_runs(cut, resamples=50).rows[1]
    assert other.outcome == "not measured"
    assert not other.gap.known
    assert other.id_accuracy.known


def test_corrupted_copies_of_an_example_are_resampled_together(runs):
    """Equal scores on a set and its copy: their difference has no noise unless they were drawn apart."""
    base = runs[0].sets
    clean = next(s for s in base if s.key.kind == "id")
    copy = replace(clean, key=SetKey("copy", "synthetic", 1))
    apart = replace(clean, key=SetKey("apart", "natural"))
    draws = measure([replace(runs[0], sets=(apart, copy, clean))], resamples=50)[0].draws
    np.testing.assert_allclose(draws[:, 1], draws[:, 2])
    assert np.abs(draws[:, 0] - draws[:, 2]).max() > 0.001


def test_shift_rows(runs, comparison):
    assert len(comparison.shifts) == 4 * 9
    one = next(s for s in comparison.shifts if s.method == "rdft" and s.key == SetKey("fog", "synthetic", 5))
    assert one.seen is True
    assert one.n == 400
    mine = next(s.accuracy.value for s in comparison.shifts if s.method == "finetune" and s.key == one.key)
    assert one.difference.value == pytest.approx(one.accuracy.value - mine)
    assert one.p_holm >= one.p_value
    same = next(s for s in comparison.shifts if s.method == "finetune" and s.key == one.key)
    assert same.seen is None
    assert math.isnan(same.p_holm)


def test_seeds_run_with_different_settings_are_told(runs):
    odd = [
        replace(r, config={**r.config, "train": {"epochs": 9}}) if r.name == "rdft, seed 1" else r
        for r in runs
    ]
    assert any("rdft" in p and "train" in p for p in compare_runs(odd, resamples=50).problems)
    assert not any("different" in p for p in compare_runs(runs, resamples=50).problems)


GOOD = Interval(0.5, 0.35, 0.6)
LESS = Interval(-0.1, -0.15, -0.05)
FLAT = Interval(-0.004, -0.012, 0.003)


@pytest.mark.parametrize(
    ("reduction", "gap_change", "id_change", "expected"),
    [
        (GOOD, LESS, FLAT, "target met"),
        (Interval(0.5, 0.30, 0.6), LESS, FLAT, "smaller"),  # the bound must be above 30%, not at it
        (GOOD, LESS, Interval(-0.011, -0.02, 0.0), "smaller"),
        (GOOD, LESS, Interval(-0.01, -0.02, 0.0), "target met"),
        (Interval(0.1, -0.1, 0.3), LESS, FLAT, "inside the noise"),
        (Interval(-0.3, -0.5, -0.1), Interval(0.1, 0.05, 0.2), FLAT, "larger"),
        (UNKNOWN, LESS, FLAT, "smaller"),  # n/a: a relative target cannot be met
        (UNKNOWN, Interval(0.01, -0.01, 0.02), FLAT, "inside the noise"),
        (UNKNOWN, UNKNOWN, FLAT, "not measured"),
    ],
)
def test_the_rule_of_the_target(reduction, gap_change, id_change, expected):
    assert outcome(reduction, gap_change, id_change) == expected


def test_wording():
    text = verdict("rdft", "finetune", "target met", GOOD, LESS, FLAT, Interval(0.1, 0.05, 0.15), 3)
    assert text.startswith(
        "rdft: gap reduced by 50% [35, 60] against finetune, ID change −0.4 points [−1.2, 0.3]: target met."
    )
    assert "reaches below −1 point" in text
    worse = verdict("x", "y", "larger", Interval(-0.3, -0.5, -0.1), LESS, FLAT, FLAT, 1)
    assert "increased by 30% [10, 50]" in worse
    assert "One seed" in worse


def test_a_gap_that_shrank_because_id_fell_is_called_out():
    text = verdict(
        "x", "y", "smaller", GOOD, LESS, Interval(-0.2, -0.3, -0.1), Interval(-0.02, -0.05, 0.01), 2
    )
    assert "because ID fell" in text
    assert "ID fell by more than 1 point" in text


def test_percent_has_no_negative_zero():
    assert percent(-0.0001) == "0.0"
    assert percent(-0.0123) == "−1.2"


def test_a_gap_inside_the_noise_does_not_hide_a_lower_id() -> None:
    fell = Interval(-0.014, -0.026, -0.004)
    said = verdict("b", "a", "inside the noise", Interval(-0.09, -0.2, 0.02), FLAT, fell, FLAT, seeds=3)
    assert "ID accuracy is lower by more than the noise" in said
    same = verdict("b", "a", "inside the noise", Interval(-0.09, -0.2, 0.02), FLAT, FLAT, FLAT, seeds=3)
    assert "more than the noise" not in same


def test_seeds_that_do_not_agree_are_told() -> None:
    noisy = Interval(-0.05, -0.2, 0.1)
    fell = ("b", "a", "smaller", Interval(0.2, 0.1, 0.3), LESS, FLAT, GOOD)
    assert "more seeds would settle it" in verdict(*fell, seeds=3, over_seeds=noisy)
    assert "more seeds" not in verdict(*fell, seeds=3, over_seeds=LESS)


def test_another_metric_is_named_in_the_sentence() -> None:
    said = verdict("b", "a", "smaller", GOOD, LESS, FLAT, GOOD, seeds=3, metric="macro_f1")
    assert "ID change of macro_f1" in said


def test_the_order_of_the_runs_changes_no_number(runs, comparison):
    turned = {r.method: r for r in compare_runs(list(reversed(runs)), comparison.reference).rows}
    for row in comparison.rows:
        for name in ("id_accuracy", "gap", "gap_reduction", "id_change"):
            one, two = getattr(row, name), getattr(turned[row.method], name)
            np.testing.assert_allclose(
                [one.value, one.low, one.high], [two.value, two.low, two.high], rtol=1e-9
            )
