"""The ablation's table against plain loops over the same runs, its order, its words, its files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from tether.errors import RequestError
from tether.evaluation.statistics import Interval
from tether.report.ablation import Change, ablation_table, findings
from tether.report.ablation_output import (
    ablation_csv,
    ablation_json,
    ablation_page,
    print_ablation,
    write_ablation,
)
from tether.report.comparison import compare_runs

KINDS = {"finetune": "control", "wise_ft": "term", "linear_probe": "teacher", "rdft": "full"}


@pytest.fixture(scope="module")
def table(runs):
    return ablation_table(
        runs,
        "rdft",
        "rdft",
        KINDS,
        {"wise_ft": ("its <b>other</b> name",)},
        {"gone": "no text tower"},
        ["a note"],
    )


def accuracy(run, kind, severity=None):
    """By a plain loop over sets and examples."""
    by_name: dict[str, list[float]] = {}
    for s in run.sets:
        if s.key.kind == kind:
            hits = [int(np.argmax(p) == y) for p, y in zip(s.probabilities, s.labels, strict=True)]
            by_name.setdefault(s.key.evalset, []).append(sum(hits) / len(hits))
    return float(np.mean([np.mean(v) for v in by_name.values()]))


def test_scores_and_changes_are_those_of_a_plain_loop(table, runs):
    def mean(method, kind):
        return float(np.mean([accuracy(r, kind) for r in runs if r.method == method]))

    full = (mean("rdft", "id"), mean("rdft", "natural"))
    assert [x.value for x in table.whole] == pytest.approx([*full, 1 - full[1] / full[0]])
    for row in table.rows:
        own = (mean(row.name, "id"), mean(row.name, "natural"))
        assert row.id_accuracy.value == pytest.approx(own[0])
        assert row.ood_change.by.value == pytest.approx(own[1] - full[1])
        assert row.gap_change.by.value == pytest.approx(full[1] / full[0] - own[1] / own[0])
        assert row.gap_change.by.low <= row.gap_change.by.value <= row.gap_change.by.high


def test_changes_agree_with_the_comparison_over_the_same_resamples(table, runs):
    rows = {r.method: r for r in compare_runs(runs, "rdft").rows}
    for row in table.rows:
        assert row.gap_change.by.value == pytest.approx(rows[row.name].gap_change.value)
        assert row.gap_change.by.low == pytest.approx(rows[row.name].gap_change.low, abs=0.02)


def test_parts_come_first_sorted_by_the_gap_and_controls_last(table):
    assert [r.kind == "control" for r in table.rows] == [False, False, True]
    parts = [r.gap_change.by.value for r in table.rows[:2]]
    assert parts == sorted(parts, reverse=True)


def test_a_row_equal_to_the_whole_method_is_inside_the_noise(runs):
    whole = [r for r in runs if r.method == "rdft"]
    twin = [replace(r, method="without nothing") for r in whole]
    table = ablation_table([*whole, *twin], "rdft", "rdft", {"without nothing": "term"}, {}, {})
    (row,) = table.rows
    assert (row.gap_change.by.value, row.gap_change.p_holm) == (0.0, 1.0)
    assert row.gap_change.inside_noise
    assert "No part, left out or changed" in table.findings[1]


def test_findings_name_what_carries_the_gain_and_what_is_noise(table):
    text = " ".join(table.findings)
    assert "gap is larger, by more than the noise, with: wise_ft" in text
    assert "Control finetune" in text
    assert "its gap is the larger one" in text


def test_a_part_that_lifts_both_accuracies_is_named(table):
    def said(by, p):
        row = replace(
            table.rows[0], name="without it", kind="term", ood_change=Change(by, p),
            gap_change=Change(Interval(0.01, -0.01, 0.03), 0.4),
        )  # fmt: skip
        return " ".join(findings("rdft", table.whole, [row]))

    down = said(Interval(-0.05, -0.07, -0.03), 0.01)
    assert "Of these, OOD accuracy is lower, by more than the noise, with: without it: gap +1.0" in down
    assert "OOD accuracy is higher" in said(Interval(0.05, 0.03, 0.07), 0.01)
    assert "Of these" not in said(Interval(-0.05, -0.07, -0.03), 0.2)


def test_the_whole_method_must_be_there_and_uneven_steps_are_said(runs):
    with pytest.raises(RequestError, match="whole method did not finish"):
        ablation_table([r for r in runs if r.method != "rdft"], "rdft", "rdft", KINDS, {}, {})
    odd = [
        replace(r, summary={**r.summary, "steps": 10 if r.method == "rdft" else 20})
        for r in runs
        if r.seed == 0 or r.method == "rdft"
    ]
    notes = " ".join(ablation_table(odd, "rdft", "rdft", KINDS, {}, {}).notes)
    assert "other than the whole method's 10 steps" in notes
    assert "Not run with the same seeds" in notes


def test_files_hold_the_same_numbers(table, tmp_path):
    page = write_ablation(table, tmp_path, "tether ablate x")
    assert page.read_text() == ablation_page(table, "tether ablate x")
    lines = list(csv.DictReader(io.StringIO(ablation_csv(table))))
    raw = json.loads(ablation_json(table, "c"), parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    assert [line["name"] for line in lines] == ["rdft", *(r["name"] for r in raw["rows"])]
    for line, r, ours in zip(lines[1:], raw["rows"], table.rows, strict=True):
        assert float(line["gap_change"]) == r["gap_change"]["by"]["value"] == ours.gap_change.by.value
        assert (line["gap_change_inside_noise"] == "True") is r["gap_change"]["inside_noise"]
    assert float(lines[0]["gap"]) == table.whole[2].value


def test_the_page_loads_nothing_and_escapes(table):
    class Reader(HTMLParser):
        tags: list[tuple[str, dict]] = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            self.tags.append((tag, dict(attrs)))

    html = ablation_page(table, "tether ablate 'a<b'")
    reader = Reader()
    reader.feed(html)
    assert not any(t in ("script", "link", "img", "b") for t, _ in reader.tags)
    assert "its &lt;b&gt;other&lt;/b&gt; name" in html
    assert "Not run: gone: no text tower" in html
    assert sum(t == "svg" for t, _ in reader.tags) == 1


def test_the_terminal_table_says_it_all(table):
    console = Console(width=110, file=io.StringIO(), color_system=None)
    print_ablation(table, console)
    text = " ".join(console.file.getvalue().split())
    for line in table.findings:
        assert line in text
    assert "skipped: gone: no text tower" in text
    assert "note: a note" in text
