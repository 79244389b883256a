"""The counted costs are those that METHODS 1.10 works out by hand."""

from __future__ import annotations

import json

import pytest

from tether import methods
from tether.cli import main
from tether.cost import BLOCKS, cost


@pytest.mark.parametrize(
    ("name", "options", "step", "before"),
    [
        ("finetune", {}, 3, 0),  # forward, activation and weight gradients
        ("lora", {}, 2, 0),  # no weight gradients
        ("wise_ft", {"variant": "linear"}, 1, 0),
        ("zero_shot", {}, 0, 0),
        ("aug_ce", {}, 4, 0),
        ("aug_ce", {"views": 2}, 6, 0),
        ("rdft", {}, 4.75, 3),  # student 2.5, initial 1.25, task 1; a teacher's fine-tuning before
        ("rdft", {"shifted_fraction": 1.0}, 7, 3),  # student 4, initial 2, task 1
        ("rdft", {"alpha": 1.0, "shifted_fraction": 1.0}, 6, 0),
        ("rdft", {"views": 2, "shifted_fraction": 1.0}, 10, 3),
        ("hybrid_kd", {}, 6, 0),
        ("kd_clean", {}, 3, 0),
        ("soup", {}, 3, 6 + 3 + 6),
        ("soup", {"augmented": [False, False], "lr_scales": [1, 1]}, 3, 3),
        ("l2_sp", {"tuning": "lora"}, 2, 0),
    ],
)
def test_counted_forwards(name: str, options: dict, step: float, before: float) -> None:
    found = cost(name, options)
    assert (found.step, found.before) == (step, before)
    assert found.relative() == (step / 3, before / 3)


def test_one_block_of_twelve_costs_its_share() -> None:
    block, all_ = 16 * 16 + 16, 12 * (16 * 16 + 16) + 16 * 3 + 16
    per_view = 1 + 1 / BLOCKS + block / all_
    assert cost("apt").step == pytest.approx(2 * per_view)
    assert cost("combined_head").step == pytest.approx(2 * per_view + 2)
    assert cost("combined_head").before == 6


def test_an_attacks_own_passes_count() -> None:
    plain = cost("rdft", {"shifts": ["augmix"]}).step
    few = cost("rdft", {"shifts": [{"name": "adv_divergence", "steps": 2}], "severities": [3]}).step
    more = cost("rdft", {"shifts": [{"name": "adv_divergence", "steps": 4}], "severities": [3]}).step
    assert plain == 2.5 + 1.25 + 1  # student, initial and task teacher; a quarter of the samples is shifted
    assert plain < few < more


def test_phrases_are_read_off_the_tuning() -> None:
    assert cost("lora").trains == "adapters and head"
    assert cost("finetune").trains == "everything, random head"
    assert cost("apt").trains == "upper blocks and head"
    assert cost("apt", {"fraction": 1.0}).trains == "everything"
    assert cost("linear_probe").trains == "nothing"
    assert cost("rdft").teachers == "initial, task (finetune)"
    assert cost("rdft", {"task_teacher": "runs/a"}).teachers == "initial, task (runs/a)"
    assert cost("soup").teachers == "3 ingredients"


def test_the_list_has_every_method_with_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "methods", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == methods.names()
    assert rows["rdft"]["step"] == pytest.approx(4.75 / 3)
    assert all(row["summary"] for row in rows.values())
    assert main(["list", "methods"]) == 0
    shown = capsys.readouterr().out
    assert "adapters and head" in shown
    assert "METHODS" not in shown
