"""The gate: each number against a second road, both sides of each limit, what it refuses to judge."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import run_folder
from sklearn.metrics import f1_score

from tether.cli import main
from tether.errors import RequestError
from tether.report.gate import Limit, check_gate, parse_limit
from tether.report.gate_output import gate_json, reasons
from tether.report.records import Measurement


@pytest.fixture(scope="module")
def run(runs):
    return next(r for r in runs if r.method == "rdft" and r.seed == 0)


@pytest.fixture(scope="module")
def other(runs):
    return next(r for r in runs if r.method == "finetune" and r.seed == 0)


def value(run, what, side="max", **options):
    return check_gate(run, [Limit(what, side, 0.5)], **options)[0].measured.value


def test_numbers_are_those_of_the_summary_and_of_scikit_learn(run, other):
    summary = run.summary
    assert value(run, "id") == pytest.approx(summary["id_accuracy"])
    assert value(run, "ood") == pytest.approx(summary["ood_accuracy"])
    assert value(run, "gap") == pytest.approx(summary["robustness_gap"])
    drop = other.summary["id_accuracy"] - summary["id_accuracy"]
    assert value(run, "id_drop", reference=other) == pytest.approx(drop)
    fog = [s for s in run.sets if s.key.evalset == "fog"]
    each = [f1_score(s.labels, s.probabilities.argmax(1), average="macro") for s in fog]
    assert value(run, "macro_f1:fog") == pytest.approx(np.mean(each))
    assert value(run, "macro_f1:fog@3") == pytest.approx(each[1])


def test_a_limit_itself_is_good_enough_on_both_sides(run):
    at = run.summary["id_accuracy"]
    for side, tighter in (("min", at + 1e-6), ("max", at - 1e-6)):
        assert check_gate(run, [Limit("id", side, at)])[0].met
        assert not check_gate(run, [Limit("id", side, tighter)])[0].met


def test_confident_judges_the_bad_end(run):
    for what, side in (("gap", "max"), ("id", "min"), ("ece:id_test", "max"), ("macro_f1:id_test", "min")):
        (plain,) = check_gate(run, [Limit(what, side, 0.5)])
        (sure,) = check_gate(run, [Limit(what, side, 0.5)], confident=True)
        assert sure.measured.value == pytest.approx(plain.measured.value)
        if side == "max":
            assert sure.used == sure.measured.high > plain.used
        else:
            assert sure.used == sure.measured.low < plain.used
    between = (plain.used + sure.used) / 2
    limit = [Limit("macro_f1:id_test", "min", between)]
    assert check_gate(run, limit)[0].met
    assert not check_gate(run, limit, confident=True)[0].met


def test_a_bootstrap_of_a_mean_has_the_width_of_the_closed_form(run):
    s = next(s for s in run.sets if s.key.evalset == "id_test")
    results = tuple(r for r in run.results if r.evalset != "id_test")  # so that it is computed
    (found,) = check_gate(
        replace(run, results=results), [Limit("accuracy:id_test", "min", 0)], confident=True
    )
    p = s.correct().mean()
    half = 1.96 * np.sqrt(p * (1 - p) / len(s.labels))
    assert (found.measured.high - found.measured.low) / 2 == pytest.approx(half, rel=0.15)


def test_the_worst_group_is_the_lowest_domain_or_what_the_run_wrote(run):
    domains = {s.key.evalset: s.correct().mean() for s in run.sets if s.key.kind == "natural"}
    (found,) = check_gate(run, [Limit("worst_group", "min", 0)])
    assert found.measured.value == pytest.approx(min(domains.values()))
    assert found.about == min(domains, key=domains.get)
    row = Measurement("id_test", "id", 0, "worst_group", 0.31, 0.2, 0.4, 30)
    (lower,) = check_gate(replace(run, results=(*run.results, row)), [Limit("worst_group", "min", 0.31)])
    assert (lower.measured.value, lower.met) == (0.31, True)


def test_what_was_not_measured_is_never_met(run):
    only_id = replace(run, sets=tuple(s for s in run.sets if s.key.kind == "id"), results=())
    for what in ("gap", "ood", "worst_group"):
        with pytest.raises(RequestError, match="could not be measured"):
            check_gate(only_id, [Limit(what, "max", 1.0)])
    with pytest.raises(RequestError, match="not tested on 'street2'"):
        check_gate(run, [Limit("accuracy:street2", "min", 0.1)])
    with pytest.raises(RequestError, match="no metric 'acuracy'"):
        check_gate(run, [Limit("acuracy:street", "min", 0.1)])
    row = Measurement("id_test", "id", 0, "mine", 0.3, float("nan"), float("nan"), 30)
    mine = replace(run, results=(row,))
    assert check_gate(mine, [Limit("mine:id_test", "max", 0.3)])[0].met
    with pytest.raises(RequestError, match="no interval"):
        check_gate(mine, [Limit("mine:id_test", "max", 0.3)], confident=True)
    nan = replace(row, value=float("nan"))
    with pytest.raises(RequestError, match="could not be measured"):
        check_gate(replace(run, results=(nan,)), [Limit("mine:id_test", "max", 0.3)])


def test_wrong_requests(run):
    with pytest.raises(RequestError, match="a limit at least"):
        check_gate(run, [])
    with pytest.raises(RequestError, match="--reference"):
        check_gate(run, [Limit("id_drop", "max", 0.01)])
    for wrong in (
        "macro_f1=0.9",
        "macro_f1:id_test",
        "macro_f1:id_test=high",
        ":id_test=1",
        "ece:id_test=nan",
    ):
        with pytest.raises(RequestError, match="METRIC:SET=VALUE"):
            parse_limit(wrong, "min")


def test_reasons_and_json(run):
    checked = check_gate(run, [Limit("gap", "max", 0.01), Limit("id", "min", 0.1)])
    assert len(reasons(checked)) == 1
    assert reasons(checked)[0].startswith("expected gap at most 0.01, got 0.1")
    said = json.loads(gate_json(checked, False))
    assert (said["met"], [row["met"] for row in said["limits"]]) == (False, [False, True])


def test_exit_codes(run_folders, tmp_path, capsys):
    run, other = str(run_folders[-1]), str(run_folders[2])
    assert (
        main(["gate", run, "--max-gap", "0.3", "--min-id", "0.9", "--max-ece", "0.5", "--min-ood", "0.5"])
        == 0
    )
    assert "ok" in capsys.readouterr().out
    assert main(["gate", run, "--max-gap", "0.01", "--min-id", "0.9"]) == 1
    shown = capsys.readouterr()
    assert "FAIL" in shown.out
    assert "expected gap at most 0.01" in shown.err
    assert main(["gate", run, "--reference", other, "--max-id-drop", "0.05", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["met"] is True
    assert main(["gate", run, "--min", "accuracy:fog=0.99", "--max", "nll:id_test=9"]) == 1
    for wrong in ([], ["--max-id-drop", "0.1"], ["--min", "x"], ["--max-gap", "much"]):
        assert main(["gate", run, *wrong]) == 2
    assert main(["gate", str(tmp_path / "nothing"), "--min-id", "0.5"]) == 2
    odd = run_folder.write_run(tmp_path / "odd", "rdft", 3)
    columns = run_folder.predictions("rdft", 3)
    columns["label"][0] = (columns["label"][0] + 1) % 3
    run_folder.write_parquet(odd / "predictions.parquet", columns)
    assert main(["gate", run, "--reference", str(odd), "--max-id-drop", "0.1"]) == 2
