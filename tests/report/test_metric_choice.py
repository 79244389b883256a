"""The headline metric from config to table, and the list of metrics."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tether.config import load_config
from tether.errors import RequestError
from tether.evaluation.catalogue import METRICS
from tether.evaluation.headline_metric import HEADLINE_METRICS
from tether.listing import listing
from tether.report.comparison import compare_runs
from tether.report.tables import comparison_csv, comparison_json, print_comparison


def printed(comparison):
    out = io.StringIO()
    print_comparison(comparison, Console(file=out, width=120))
    return out.getvalue()


def test_the_choice_is_no_part_of_the_fingerprint():
    plain = load_config("digits")
    assert plain.evaluate.metric == "accuracy"
    assert load_config("digits", ["evaluate.metric=macro_f1"]).fingerprint() == plain.fingerprint()
    assert load_config("digits", ["evaluate.limit=7"]).fingerprint() != plain.fingerprint()


def test_a_metric_that_cannot_make_a_headline_is_refused_with_the_nearest():
    with pytest.raises(RequestError, match=r"evaluate\.metric.*did you mean 'macro_f1'"):
        load_config("digits", ["evaluate.metric=macrof1"])
    with pytest.raises(RequestError, match="known: accuracy, balanced_accuracy"):
        load_config("digits", ["evaluate.metric=nll"])


def test_the_runs_own_config_decides_unless_told(runs):
    asked = [replace(r, config={**r.config, "evaluate": {"metric": "macro_f1"}}) for r in runs]
    assert compare_runs(asked, resamples=20).metric == "macro_f1"
    assert compare_runs(asked, resamples=20, metric="accuracy").metric == "accuracy"


def test_the_table_says_what_the_scores_are_and_what_could_not_be_measured(runs, comparison):
    said = printed(comparison)
    assert "nCE: errors under corruption over those of finetune (mCE needs 1000 classes" in said
    assert "effective robustness: not fitted: 4 reference models" in said
    assert "seen in training %" in said
    assert "adversarial" not in said
    assert "all scores are" not in said
    assert "all scores are macro_f1" in printed(compare_runs(runs, resamples=20, metric="macro_f1"))


def test_csv_and_json_hold_the_new_numbers(comparison):
    head = comparison_csv(comparison).splitlines()[0].split(",")
    assert {"gap_chance_low", "gap_reduction_mean_high", "effective_robustness"} <= {*head}
    text = comparison_json(comparison)
    assert '"against": "finetune"' in text
    assert "NaN" not in text


def test_every_metric_has_its_line():
    rows = dict(listing("metrics"))
    assert rows == dict(METRICS)
    assert set(HEADLINE_METRICS) <= set(rows)
    written = {"accuracy", "balanced_accuracy", "macro_f1", "nll", "brier", "ece", "nll_scaled", "ece_scaled"}
    assert written <= set(rows)
    assert {n for n, line in rows.items() if "can make the headline" in line} == set(HEADLINE_METRICS)
