"""`tether merge` on finished tiny runs: both ends, the curve, the choice, what it writes, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tether
from project import make_project
from tether.cli import main
from tether.errors import RequestError
from tether.finish import Scores, choose
from tether.inference import load
from tether.merging import merge_run, merge_runs


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path, train={"steps": 4, "batch_size": 16, "lr": 0.02})


def train(config: Path, where: Path, method: str, *overrides: str, seed: int = 0) -> Path:
    return tether.train(str(config), list(overrides), method=method, seed=seed, output=str(where)).folder


def state(folder: Path) -> dict[str, torch.Tensor]:
    return {n: p.detach() for n, p in load(folder).named_parameters()}


@pytest.mark.parametrize("start", ["auto", "random", "probe"])
def test_the_ends_are_the_start_and_the_result(config: Path, tmp_path: Path, start: str) -> None:
    run = train(config, tmp_path / "lora", "lora", f"method.start={start}")
    probe = train(config, tmp_path / "lp", "linear_probe")
    zero = merge_run(run, mu=0.0, grid=2, output=tmp_path / "zero")
    one = merge_run(run, mu=1.0, grid=2, output=tmp_path / "one")
    for merged, same in ((zero, probe), (one, run)):
        want = state(same)
        for name, value in state(merged.folder).items():
            torch.testing.assert_close(value, want[name], rtol=1e-5, atol=1e-5)
    assert any(not torch.equal(state(zero.folder)[n], v) for n, v in state(one.folder).items())


def test_the_middle_is_the_mean_of_the_ends_also_for_adapters(config: Path, tmp_path: Path) -> None:
    run = train(config, tmp_path / "lora", "lora")
    ends = [state(merge_run(run, mu=m, grid=2, output=tmp_path / f"m{m}").folder) for m in (0.0, 1.0)]
    half = state(merge_run(run, mu=0.5, grid=2, output=tmp_path / "half").folder)
    for name, value in half.items():
        first, second = ends[0][name], ends[1][name]
        # The head's ends are large and of either sign: what is left of their sum is as exact as they are.
        within = 1e-6 * max(1.0, float(first.abs().max()), float(second.abs().max()))
        torch.testing.assert_close(value, (first + second) / 2, rtol=1e-5, atol=within)


def test_the_curve_agrees_with_the_one_that_training_walked(config: Path, tmp_path: Path) -> None:
    """`wise_ft` judges the same line on the weights in memory; `lp_ft` is that training without a merge."""
    wise = train(config, tmp_path / "wise", "wise_ft", "method.alpha=auto")
    walked = [json.loads(line) for line in (wise / "merge.jsonl").read_text().splitlines()]
    merged = merge_run(train(config, tmp_path / "lp_ft", "lp_ft"), output=tmp_path / "merged")
    again = [json.loads(line) for line in (merged.folder / "merge.jsonl").read_text().splitlines()]
    assert len({r["id_val"] for r in walked}) > 1  # a flat line would agree with anything
    assert [r["mu"] for r in again] == pytest.approx([r["mu"] for r in walked])
    for a, b in zip(again, walked, strict=True):
        assert (a["id_val"], a["ood_val"]) == pytest.approx((b["id_val"], b["ood_val"]))
    assert [r["chosen"] for r in again] == [r["chosen"] for r in walked]


def test_the_choice_follows_the_rule_and_a_run_merged_at_half_is_undone(config: Path, tmp_path: Path) -> None:
    half = train(config, tmp_path / "half", "wise_ft")
    whole = train(config, tmp_path / "whole", "lp_ft")  # the same training without the merge
    merged = merge_run(half, output=tmp_path / "m", test=True)
    assert merged.mu == choose([(p.mu, p.scores) for p in merged.curve])
    assert sum(p.chosen for p in merged.curve) == 1
    end = state(merge_run(half, mu=1.0, grid=2, output=tmp_path / "end").folder)
    for name, value in state(whole).items():
        torch.testing.assert_close(end[name], value, rtol=1e-4, atol=1e-5)
    assert (merged.folder / "merge.png").stat().st_size > 5000
    assert (merged.folder / "merge-test.png").is_file()
    summary = json.loads((whole / "summary.json").read_text())
    assert merged.curve[-1].id_test == pytest.approx(summary["id_accuracy"])
    assert merged.curve[-1].ood_test == pytest.approx(summary["ood_accuracy"])


def test_tests_are_looked_at_only_when_asked(config: Path, tmp_path: Path, monkeypatch) -> None:
    run = train(config, tmp_path / "lora", "lora")
    monkeypatch.setattr("tether.merge_ends.predict_set", lambda *_: pytest.fail("a test set was read"))
    merged = merge_run(run, output=tmp_path / "m")
    assert all(p.id_test is None for p in merged.curve)
    assert not (merged.folder / "merge-test.png").exists()
    assert "id_test" not in (merged.folder / "merge.jsonl").read_text()


def test_without_ood_validation_the_middle_is_taken(config: Path, tmp_path: Path, monkeypatch) -> None:
    run = train(config, tmp_path / "lora", "lora")
    monkeypatch.setattr("tether.merge_ends.Bench.judge", lambda _: lambda _model: Scores(0.9, None, 4))
    merged = merge_run(run, grid=4, output=tmp_path / "m")  # 0, 1/3, 2/3, 1
    assert merged.mu == 0.5
    assert [p.chosen for p in merged.curve] == [False, False, True, False, False]
    assert "no OOD validation" in merged.why


ALONE = """
import sys
from transformers import AutoModelForSequenceClassification
AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
assert not any(m.startswith("tether") for m in sys.modules)
"""


def test_the_merged_model_is_evaluated_predicted_with_and_loaded_alone(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(config, tmp_path / "lora", "lora")
    out = tmp_path / "merged"
    capsys.readouterr()
    assert main(["merge", str(run), "--mu", "1.0", "--grid", "2", "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mu"] == 1.0
    again = tether.evaluate(str(out), str(config), output=str(tmp_path / "eval"))
    trained = json.loads((run / "summary.json").read_text())
    assert again.summary["id_accuracy"] == pytest.approx(trained["id_accuracy"])
    (tmp_path / "new.txt").write_text("a good film\n")
    assert main(["predict", str(out), str(tmp_path / "new.txt"), "--json"]) == 0
    subprocess.run([sys.executable, "-c", ALONE, str(out / "model")], check=True)


def test_runs_are_averaged(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [train(config, tmp_path / f"s{s}", "lp_ft", seed=s) for s in (0, 1)]
    merged = merge_runs(runs, "uniform", tmp_path / "uniform")
    first, second = (state(r) for r in runs)
    for name, value in state(merged.folder).items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2, rtol=1e-4, atol=1e-5)
    argv = ["merge", *map(str, runs), "--soup", "greedy", "-o", str(tmp_path / "greedy")]
    assert main(argv) == 0
    assert "in  " in capsys.readouterr().out
    rows = [json.loads(x) for x in (tmp_path / "greedy" / "blend.jsonl").read_text().splitlines()]
    assert rows[0]["used"]
    assert {r["run"] for r in rows} == {str(r) for r in runs}


def test_what_cannot_be_merged_says_why(config: Path, tmp_path: Path) -> None:
    random = train(config, tmp_path / "finetune", "finetune")
    with pytest.raises(RequestError, match="random head"):
        merge_run(random, output=tmp_path / "m")
    dora = train(config, tmp_path / "dora", "lora", "method.variant=dora")
    with pytest.raises(RequestError, match="dora cannot be interpolated"):
        merge_run(dora, output=tmp_path / "m")
    small = ["method.teacher_model=null", "method.fraction=0.9"]
    heads = train(config, tmp_path / "heads", "three_head", *small)
    with pytest.raises(RequestError, match="parts that its start has not"):
        merge_run(heads, output=tmp_path / "m")
    untrained = train(config, tmp_path / "lp", "linear_probe")
    with pytest.raises(RequestError, match="trained nothing"):
        merge_run(untrained, output=tmp_path / "m")
    zero = train(config, tmp_path / "zero", "wise_ft", "method.alpha=0.0")
    with pytest.raises(RequestError, match="mu = 0"):
        merge_run(zero, output=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_wrong_requests_are_refused_before_anything_is_read(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(config, tmp_path / "lora", "lora")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for argv, says in (
        (["--mu", "1.5"], "from 0 to 1"),
        (["--mu", "half"], "from 0 to 1"),
        (["--grid", "1"], "two ends"),
        (["--soup", "sour"], "uniform or greedy"),
        (["--soup", "uniform"], "two runs or more"),
        (["--soup", "uniform", "--mu", "0.5"], "leave --mu"),
        (["-o", str(tmp_path / "full")], "exists already"),
    ):
        capsys.readouterr()
        assert main(["merge", str(run), *argv]) == 2
        assert says in capsys.readouterr().err
    assert main(["merge", str(tmp_path / "nothing")]) == 2
    (run / "summary.json").unlink()
    assert main(["merge", str(run)]) == 2
    assert "not finished" in capsys.readouterr().err
