"""The folded tables, the names of another metric, and what is left out because training saw it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from tether.cli import app
from tether.evaluation.groups import Grouping, Names
from tether.evaluation.headline import SetKey
from tether.evaluation.metrics import ece
from tether.report.calibration import calibration_plot
from tether.report.comparison import compare_runs
from tether.report.folded import corruption_errors, gaps_by_shift, more_costs, more_scores
from tether.report.mistakes import matrices, weaknesses
from tether.report.page import page_html


def column(table, head):
    """Row name -> cell."""
    at = table.heads.index(head) - 1
    return {name: cells[at] for name, cells in table.rows}


def attacked(run):
    noise = [s for s in run.sets if s.key.evalset == "gaussian_noise"]
    return replace(
        run, sets=(*run.sets, *(replace(s, key=SetKey("pgd", "adversarial", s.key.severity)) for s in noise))
    )


@pytest.fixture(scope="module")
def synthetic(runs):
    """No natural domain: corruptions make the headline, and rdft saw one of them, fog."""
    return [replace(r, sets=tuple(s for s in r.sets if s.key.kind != "natural")) for r in runs]


@pytest.fixture(scope="module")
def shifted(synthetic):
    return compare_runs(synthetic, resamples=50)


def test_adversarial_scores_stand_apart_and_only_where_there_are_some(runs, comparison):
    table = more_scores(compare_runs([attacked(r) for r in runs], resamples=50))
    mine = [r for r in runs if r.method == "rdft"]
    hits = np.mean([s.correct().mean() for r in mine for s in r.sets if s.key.evalset == "gaussian_noise"])
    clean = np.mean([s.correct().mean() for r in mine for s in r.sets if s.key.kind == "id"])
    assert column(table, "Adversarial")["rdft"].value == pytest.approx(hits)
    assert column(table, "Adversarial: ID, same samples")["rdft"].value == pytest.approx(clean)
    assert column(table, "Adversarial gap")["rdft"].value == pytest.approx(1 - hits / clean)
    assert "Adversarial" not in more_scores(comparison).heads


def test_effective_robustness_has_a_column_only_with_a_line(runs, comparison, ordinary):
    assert "Effective robustness" not in more_scores(comparison).heads
    out = compare_runs([*runs, *ordinary], resamples=50, reference="finetune")
    cells = column(more_scores(out), "Effective robustness")
    for r in out.rows:
        assert cells[r.method].value == pytest.approx(
            r.ood_accuracy.value - out.line.expected(r.id_accuracy.value)
        )
    html = page_html(out, [*runs, *ordinary], "t", "c")
    assert "fitted on logit axes through 12 runs without a robustness intervention" in html


def test_views_over_seeds_and_what_was_seen(comparison):
    table = more_scores(comparison)
    by = {r.method: r for r in comparison.rows}
    for head, name in (("Seen in training", "seen_accuracy"), ("Gap over seeds", "gap_over_seeds")):
        assert column(table, head)["rdft"].value == getattr(by["rdft"], name).value
    assert column(table, "Mean of the shifts’ own reductions")["rdft"].small[-1] == "over 2 shifts"
    assert column(table, "OOD accuracy, change")["finetune"].text == "–"


def test_gaps_by_shift_by_a_plain_loop(runs, comparison):
    table = gaps_by_shift(comparison)
    assert table.heads[:3] == ("Set", "Kind", "finetune")
    kinds = [cells[0].text for _, cells in table.rows]
    assert kinds == ["natural"] * 2 + ["synthetic"] * 6

    def gap(method):
        mine = [r for r in runs if r.method == method]
        scores = [
            np.mean([s.correct().mean() for r in mine for s in r.sets if s.key.evalset == name])
            for name in ("id_test", "street")
        ]
        return 1 - scores[1] / scores[0]

    cell = column(table, "rdft")["street"]
    assert cell.value == pytest.approx(gap("rdft"))
    assert cell.small[0].startswith(f"cut {100 * (1 - gap('rdft') / gap('finetune')):.0f} [")


def test_corruption_errors_are_those_of_the_comparison(comparison):
    table = corruption_errors(comparison)
    assert table.title == "Corruption errors (nCE)"
    assert table.heads == ("Method", "nCE", "Relative", "gaussian_noise")  # fog was seen
    row = comparison.corruption.of("rdft")
    assert [c.value for c in dict(table.rows)["rdft"]] == [row.mean.value, row.relative, *row.errors.values()]
    none = replace(comparison, corruption=replace(comparison.corruption, name="", rows=()))
    assert corruption_errors(none) is None


def test_costs_are_means_over_seeds_and_unmeasured_columns_are_left_out(runs, comparison):
    assert more_costs(comparison, runs) is None
    told = [
        replace(r, summary={**r.summary, "train_step_flops": 2e9 * (1 + r.seed), "device": "a <b> CPU"})
        for r in runs
    ]
    table = more_costs(comparison, told)
    assert table.heads == ("Method", "Step, GFLOP")
    assert dict(table.rows)["rdft"][0].value == 3e9
    assert dict(table.rows)["rdft"][0].text == "3.00"
    html = page_html(comparison, told, "t", "c")
    assert "Operations, speed and device-hours" in html
    assert "Measured on a &lt;b&gt; CPU." in html


def test_another_metric_is_named_wherever_its_numbers_stand(runs, comparison):
    html = page_html(compare_runs(runs, resamples=20, metric="macro_f1"), runs, "t", "c")
    for said in (
        "<strong>Scores are macro-F1</strong>",
        ">ID, macro-F1<",
        ">OOD, macro-F1<",
        "OOD macro-F1 against training cost",
        "Macro-F1 in percent.",
        "ID macro-F1 against OOD macro-F1.",
        "the line is one of accuracies, not of macro_f1",
    ):
        assert said in html, said
    assert "macro-F1" not in page_html(comparison, runs, "t", "c")


def test_words_instead_of_marks_for_differences(runs, comparison):
    html = page_html(comparison, runs, "t", "c")
    for word in ("better", "worse"):
        count = sum(s.outcome == word for s in comparison.shifts)
        assert html.count(f'<span class="{word}">') == count > 0


def test_a_seen_shift_is_in_no_pool(synthetic, shifted):
    """Calibration, matrices and weak spots: fog, on which rdft trained, counts for no method."""
    assert shifted.ood_kind == "synthetic"
    label = calibration_plot(shifted, synthetic).label
    for method in ("rdft", "finetune"):
        mine = [
            s for r in synthetic if r.method == method for s in r.sets if s.key.evalset == "gaussian_noise"
        ]
        error = 100 * np.mean([ece(s.probabilities, s.labels, 15) for s in mine])
        assert f"OOD {error:.1f}" in label.split(f"{method}: ")[1].split(";")[0]
        right = {c: [] for c in range(3)}
        for s in mine:
            for y, hit in zip(s.labels, s.correct(), strict=True):
                right[y].append(hit)
        shares = next(m for m in matrices(method, shifted, synthetic) if m.kind == "synthetic").shares
        np.testing.assert_allclose(shares.diagonal(), [np.mean(right[c]) for c in range(3)])
    assert all("gaussian_noise" in w.ood_set.name for w in weaknesses(shifted, synthetic))


def test_fog_would_have_been_the_weakest_set(synthetic, shifted):
    unseen = compare_runs(
        [replace(r, config={}, summary={**r.summary, "seen_shifts": []}) for r in synthetic], resamples=20
    )
    assert any("fog" in w.ood_set.name for w in weaknesses(unseen, synthetic))


def test_worst_groups_by_a_plain_loop(runs, comparison):
    def grouped(run):
        """Users 0 to 3, and a fifth with ten examples, which is too few to be judged."""

        def of(s):
            codes = np.where(np.arange(len(s.labels)) < 10, 4, np.arange(len(s.labels)) % 4)
            return replace(s, grouping=Grouping(codes=codes))

        names = Names(run.names.classes, tuple(f"user <{i}>" for i in range(5)))
        return replace(run, sets=tuple(map(of, run.sets)), names=names)

    mine = [grouped(r) for r in runs]
    out = compare_runs(mine, resamples=20)
    found = {w.method: w for w in weaknesses(out, mine)}
    for method, w in found.items():
        shares = {}
        for name in ("optdigits", "street"):
            for g in range(4):
                each = [
                    np.mean([h for h, c in zip(s.correct(), s.grouping.codes, strict=True) if c == g])
                    for r in mine
                    if r.method == method
                    for s in r.sets
                    if s.key.evalset == name
                ]
                shares[f"{name}: user <{g}>"] = np.mean(each)
        assert w.ood_group.name == min(shares, key=shares.get)
        assert w.ood_group.accuracy == pytest.approx(min(shares.values()))
        assert w.id_group.name.startswith("user <")
    html = page_html(out, mine, "t", "c")
    assert "Worst group, OOD" in html
    assert "user &lt;" in html
    assert "Worst group" not in page_html(comparison, runs, "t", "c")


def test_report_takes_a_metric_and_refuses_one_that_makes_no_headline(run_folders, tmp_path):
    folders = list(map(str, run_folders[:2]))
    made = CliRunner().invoke(
        app, ["report", *folders, "-o", str(tmp_path / "r.html"), "--metric", "macro_f1", "--json"]
    )
    assert made.exit_code == 0, made.output
    assert json.loads((tmp_path / "r.json").read_text())["metric"] == "macro_f1"
    assert "--metric macro_f1" in (tmp_path / "r.html").read_text()
    bad = CliRunner().invoke(app, ["report", *folders, "-o", str(tmp_path / "b.html"), "--metric", "macrof1"])
    assert bad.exit_code != 0
    assert "did you mean 'macro_f1'" in str(bad.output) + str(bad.exception)
    assert not (tmp_path / "b.html").exists()
