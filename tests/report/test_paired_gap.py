"""With evaluate.limit a synthetic gap is taken against ID accuracy on the samples that were corrupted."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tether.evaluation.headline import SetKey
from tether.evaluation.summary import headline_numbers
from tether.report.comparison import compare_runs
from tether.report.gate import Limit, check_gate
from tether.report.measured import measure
from tether.report.paired import clean_parts
from tether.report.records import Predictions

N, LIMIT = 400, 100
KEYS = [SetKey("id_test", "id"), *(SetKey("fog", "synthetic", s) for s in (1, 3))]
# method -> accuracy on the first 100 ID samples, on the other 300, and under fog at severities 1 and 3
LEVELS = {"finetune": (0.96, 0.60, 0.90, 0.78), "rdft": (0.92, 0.80, 0.90, 0.86)}


def one_set(key, right):
    y = np.arange(len(right)) % 2
    p = np.full((len(right), 2), 0.2, np.float32)
    p[np.arange(len(right)), np.where(right, y, 1 - y)] = 0.8
    return Predictions(key, np.arange(len(right)), y, p)


def first(share, n):
    return np.arange(n) < round(share * n)


def limited(run, levels):
    easy, hard, one, three = levels
    inside = np.concatenate([first(easy, LIMIT), first(hard, N - LIMIT)])
    rights = (inside, first(one, LIMIT), first(three, LIMIT))
    sets = tuple(one_set(k, r) for k, r in zip(KEYS, rights, strict=True))
    return replace(run, sets=sets, classes=("a", "b"), config={}, summary={})


@pytest.fixture(scope="module")
def easy_first(runs):
    named = {(r.method, r.seed): r for r in runs}
    return [limited(named[m, 0], levels) for m, levels in LEVELS.items()]


@pytest.fixture(scope="module")
def out(easy_first):
    return compare_runs(easy_first, resamples=300)


def test_the_gap_is_against_the_same_samples(out):
    for r in out.rows:
        easy, hard, one, three = LEVELS[r.method]
        shifted = (one + three) / 2
        assert r.id_accuracy.value == pytest.approx((easy * LIMIT + hard * (N - LIMIT)) / N)
        assert r.synthetic_id_accuracy.value == pytest.approx(easy)
        assert r.synthetic_gap.value == pytest.approx(1 - shifted / easy)
        assert r.gap.value == pytest.approx(1 - shifted / easy)  # synthetic sets make the headline here
        assert r.gap_over_seeds.value == pytest.approx(1 - shifted / easy)
        assert r.gap_chance == pytest.approx(1 - (shifted - 0.5) / (easy - 0.5))
        assert r.gap.low < r.gap.value < r.gap.high


def test_against_the_whole_id_set_the_gap_would_have_vanished(out):
    tuned, ours = out.rows
    assert (tuned.method, ours.method) == ("finetune", "rdft")
    shifted = (0.90 + 0.78) / 2
    assert 1 - shifted / tuned.id_accuracy.value < 0  # the flaw: easier samples hide the loss
    assert tuned.gap.value > 0.1
    theirs, mine = 1 - shifted / 0.96, 1 - (0.90 + 0.86) / 2 / 0.92
    assert ours.gap_reduction.value == pytest.approx((theirs - mine) / theirs)
    assert ours.gap_reduction_mean.value == pytest.approx(ours.gap_reduction.value)  # of one shift


def test_each_row_of_a_shift_too_and_a_note_says_it(out):
    at_three = next(s for s in out.shifts if s.method == "rdft" and s.key.severity == 3)
    assert at_three.gap.value == pytest.approx(1 - 0.86 / 0.92)
    assert at_three.gap_reduction.value == pytest.approx(1 - (1 - 0.86 / 0.92) / (1 - 0.78 / 0.96))
    assert any("fog: 100 of the 400 ID test samples (evaluate.limit)" in p for p in out.problems)
    assert "96.0% of the examples that were shifted" in out.rows[0].verdict


def test_a_gate_judges_the_same_gap(easy_first, out):
    checked = check_gate(easy_first[1], [Limit("gap", "max", 0.1)], resamples=20)
    assert checked[0].measured.value == pytest.approx(out.rows[1].gap.value)


def test_the_same_samples_are_drawn_together(easy_first):
    """Where a corruption changes no answer, the gap is 0 on every resample."""
    whole = easy_first[0].sets[0]
    same = Predictions(KEYS[1], whole.ids[:LIMIT], whole.labels[:LIMIT], whole.probabilities[:LIMIT])
    m = measure([replace(easy_first[0], sets=(same, whole))], 100)[0]
    np.testing.assert_array_equal(m.clean.kind("synthetic").draws, m.kind("synthetic").draws)
    assert np.std(m.kind("synthetic").draws) > 0
    assert m.id().value == pytest.approx(whole.correct().mean())


def test_other_metrics_take_the_same_samples(easy_first):
    from sklearn.metrics import f1_score

    s = easy_first[0].sets[0]
    r = compare_runs(easy_first, resamples=20, metric="macro_f1").rows[0]
    theirs = f1_score(s.labels[:LIMIT], s.probabilities[:LIMIT].argmax(1), average="macro")
    assert r.synthetic_id_accuracy.value == pytest.approx(theirs)


def test_without_a_limit_nothing_is_a_part(runs, comparison):
    assert clean_parts(runs[0].sets).rows == ()
    for r in comparison.rows:
        ours, theirs = r.synthetic_id_accuracy, r.id_accuracy
        assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high))
    assert not any("evaluate.limit" in p for p in comparison.problems)


def test_samples_of_other_data_are_no_part(easy_first):
    whole, fog = easy_first[0].sets[:2]
    for odd in (replace(fog, ids=fog.ids + N), replace(fog, labels=1 - fog.labels)):
        assert clean_parts((whole, odd)).rows == ()


def test_summary_says_the_same_gap(easy_first, out, tmp_path):
    import pyarrow as pa

    run = easy_first[1]
    rows, columns = [], {k: [] for k in ("id", "evalset", "kind", "severity", "label", "probabilities")}
    for s in run.sets:
        key = {"evalset": s.key.evalset, "kind": s.key.kind, "severity": s.key.severity}
        score = {"metric": "accuracy", "value": float(s.correct().mean()), "n": len(s.ids)}
        rows.append({**key, **score})
        for k, value in key.items():
            columns[k] += [value] * len(s.ids)
        columns["id"] += s.ids.tolist()
        columns["label"] += s.labels.tolist()
        columns["probabilities"] += s.probabilities.tolist()
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    found = headline_numbers(json.loads(json.dumps(rows)), tmp_path / "p.parquet")
    assert found["synthetic_id_accuracy"] == pytest.approx(0.92)
    assert found["robustness_gap"] == pytest.approx(out.rows[1].gap.value)
    assert found["id_accuracy"] == pytest.approx(out.rows[1].id_accuracy.value)
    whole = [r | {"n": N} for r in rows]  # then nothing needs reading
    assert headline_numbers(whole, tmp_path / "none")["synthetic_id_accuracy"] == found["id_accuracy"]
