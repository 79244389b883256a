"""--match flops: steps times their counted cost come out equal."""

from __future__ import annotations

from pathlib import Path

import pytest

import tether
from project import make_project
from tether.cost import cost
from tether.errors import RequestError
from tether.matched import matched
from tether.points import plan


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(make_project(tmp_path))


def work(config) -> float:
    """Forwards of the whole run, teachers' training among them, by `tether list methods`' own numbers."""
    counted = cost(config.method.name, config.method.options)
    return config.train.steps * config.train.batch_size * (counted.step + counted.before)


def test_every_run_costs_what_the_reference_costs(config: str) -> None:
    specs = ["rdft", "lora", "finetune", "aug_ce", "rdft(alpha=1)", "linear_probe"]
    grid = plan(config, specs, [0, 1], ["train.steps=300"])
    found, skipped, notes = matched(grid, "flops", grid[0], specs)
    assert skipped == {}
    assert len(found) == len(grid)
    assert found[0] == grid[0]  # the reference finds its finished run
    for c in found:
        if c.method.name == "linear_probe":
            assert c.train.steps == 300
        else:
            assert work(c) == pytest.approx(work(found[0]), rel=0.01)
    steps = {(c.method.name, c.method.options.get("alpha")): c.train.steps for c in found}
    assert steps["lora", None] > 2 * 300  # one forward a step instead of seven and a teacher
    assert "lora" in notes[0]
    assert str(steps["lora", None]) in notes[0]


def test_a_larger_batch_has_fewer_steps(config: str) -> None:
    grid = plan(config, ["lora"], [0], ["train.steps=100"], None, {"train.batch_size": [16, 32]})
    found, _, _ = matched(grid, "flops", grid[0], ["lora"])
    assert [c.train.steps for c in found] == [100, 50]


def test_steps_of_a_recipe_in_epochs_are_counted_on_the_data(config: str) -> None:
    # 64 training samples, 16 a step, 3 epochs: 12 steps of F 3; LoRA's step is F 2.
    grid = plan(config, ["finetune", "lora"], [0], ["train.steps=null", "train.epochs=3"])
    found, _, _ = matched(grid, "flops", grid[0], ["finetune", "lora"])
    assert [c.train.steps for c in found] == [None, 18]


def test_what_cannot_be_matched(config: str) -> None:
    grid = plan(config, ["finetune", "flyp"], [0])
    with pytest.raises(RequestError, match="cost of flyp cannot be counted"):
        matched(grid, "flops", grid[0], ["finetune", "flyp"])
    found, skipped, _ = matched(grid, "flops", grid[0], ["finetune"])
    assert [c.method.name for c in found] == ["finetune"]
    assert set(skipped) == {"flyp"}
    with pytest.raises(RequestError, match="expected flops"):
        matched(grid, "flop", grid[0], [])
    still = plan(config, ["linear_probe", "lora"], [0])
    with pytest.raises(RequestError, match="trains nothing"):
        matched(still, "flops", still[0], [])
    swept = plan(config, ["lora"], [0], [], None, {"train.steps": [3, 6]})
    with pytest.raises(RequestError, match=r"take train\.steps"):
        matched(swept, "flops", swept[0], ["lora"])


def test_the_report_says_it(config: str, tmp_path: Path) -> None:
    done = tether.compare(
        config, ["finetune", "lora"], 1, ["train.steps=4"], output=str(tmp_path / "grid"), match="flops"
    )
    assert {run.method: run.summary["steps"] for run in done.runs} == {"finetune": 4, "lora": 6}
    said = [p for p in done.comparison.problems if p.startswith("Steps are matched by FLOPs")]
    assert len(said) == 1
    assert "finetune_s0" not in said[0]
    assert "--match flops" in done.command
    with pytest.raises(RequestError, match="is not among the methods"):
        tether.compare(config, ["lora"], 1, match="flops", reference="rdft")
