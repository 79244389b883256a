"""Operations against sums by hand; what measuring must leave alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tether import methods
from tether.config import load_config
from tether.evaluation.efficiency import (
    Inference,
    device_hours,
    efficiency,
    inference,
    interleaved,
)
from tether.evaluation.flops import flops, step_flops
from tether.methods import softmax_main
from tether.teachers.initial import initial_teacher
from tether.training import Engine
from tether.tune.lora import merge_adapters
from tiny import ListExamples, tiny_batch, tiny_model

ENGINE = Engine("fp32")
# TinyNet on 8 px: stem 3->6, 3x3, stride 2 (4 px out); depthwise 3x3 on 6; 1x1 6->8; 3x3 8->8; head 8->3.
STEM, DEPTHWISE, POINT, LAST, HEAD = 16 * 6 * 27, 16 * 6 * 9, 16 * 8 * 6, 16 * 8 * 72, 8 * 3
FORWARD = 2 * (STEM + DEPTHWISE + POINT + LAST + HEAD)


def test_a_forward_costs_what_its_layers_say() -> None:
    model = tiny_model()
    assert flops(lambda: softmax_main.run(model, tiny_batch(5))) == 5 * FORWARD


def test_attention_counts_its_two_products() -> None:
    q = torch.randn(1, 2, 7, 4)
    counted = flops(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert counted == 2 * (2 * 7 * 7 * 4) * 2


def test_training_the_head_alone_adds_its_own_gradients() -> None:
    model = tiny_model()
    method = methods.build("finetune", {})
    for parameter in model.backbone.network.parameters():
        parameter.requires_grad_(False)
    batch = tiny_batch(4)
    # Forward, and of the head the gradient of its weight; its input has none.
    assert step_flops(method, model, {}, batch, ENGINE, 0) == 4 * (FORWARD + 2 * HEAD)


def test_a_step_of_full_fine_tuning_is_three_forwards_without_the_input_s_gradient() -> None:
    model = tiny_model()
    method = methods.build("finetune", {})
    method.tuning.apply(model)
    assert step_flops(method, model, {}, tiny_batch(4), ENGINE, 0) == 4 * (3 * FORWARD - 2 * STEM)


def test_a_teacher_s_forwards_count_and_need_no_gradients() -> None:
    model = tiny_model()
    method = methods.build("rdft", {"alpha": 1.0, "shifted_fraction": 1.0})
    method.tuning.apply(model)
    batch = tiny_batch(16)
    teachers = {"initial": initial_teacher(model, method.tuning)}
    plain = methods.build("lora", {})
    both = step_flops(method, model, teachers, batch, ENGINE, 0)
    alone = step_flops(plain, model, {}, batch, ENGINE, 0)
    # Two views for the student and one or two for the teacher: more than twice, less than four steps.
    assert 2 * alone + 16 * FORWARD * 0.9 < both < 4 * alone


def test_counting_a_step_leaves_no_trace() -> None:
    model = tiny_model().eval()
    method = methods.build("finetune", {})
    method.tuning.apply(model)
    before = {n: p.clone() for n, p in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    step_flops(method, model, {}, tiny_batch(4), ENGINE, 0)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(p, before[n]) for n, p in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not model.training


def test_merged_costs_what_the_initial_model_costs_and_unmerged_costs_more() -> None:
    examples: Any = ListExamples(tiny_batch(6))
    bare = flops(lambda: softmax_main.run(tiny_model(), tiny_batch(1)))
    model = tiny_model()
    methods.build("lora", {}).tuning.apply(model)
    unmerged = copy.deepcopy(model)
    merge_adapters(model)
    found = inference(model, softmax_main, examples, ENGINE, unmerged)
    assert found.inference_flops == bare == FORWARD
    assert found.inference_flops_unmerged is not None
    assert found.inference_flops_unmerged > bare
    assert found.latency_unmerged_seconds is not None
    assert min(found.latency_seconds, found.latency_unmerged_seconds, found.inference_samples_per_second) > 0


def test_rounds_run_in_turn_and_end_with_the_budget() -> None:
    order: list[str] = []
    interleaved([lambda: order.append("a"), lambda: order.append("b")], torch.device("cpu"), budget=0.0)
    assert order == ["a", "b"] * 4  # once to warm up, then the least number of rounds
    order.clear()
    interleaved([lambda: order.append("a")], torch.device("cpu"), budget=1e9)
    assert len(order) == 31


def test_the_numbers_are_flat_and_parts_stand_apart() -> None:
    timed = Inference(10, None, 0.5, None, 2.0)
    found = efficiency(ENGINE, 3600.0, 1800.0, 900.0, 7200.0, 0.5, 32, 99, timed).numbers()
    assert found["train_device_hours"] == 1.0
    assert found["teacher_device_hours"] == 0.5
    assert (found["choose_seconds"], found["choose_device_hours"]) == (900.0, 0.25)
    assert found["evaluate_device_hours"] == 2.0
    assert found["train_samples_per_second"] == 64.0
    assert (found["train_step_flops"], found["inference_flops"], found["latency_seconds"]) == (99, 10, 0.5)
    assert "inference" not in found
    untouched = efficiency(ENGINE, 0.0, 0.0, 0.0, 1.0).numbers()
    assert untouched["train_samples_per_second"] is None
    assert "latency_seconds" not in untouched


def test_hours_count_every_device() -> None:
    class Two:
        processes = 2

    assert device_hours(1800.0, Two()) == pytest.approx(1.0)  # type: ignore[arg-type]


def test_the_setting_changes_no_fingerprint() -> None:
    on, off = (load_config("digits", [f"evaluate.efficiency={v}"]) for v in ("true", "false"))
    assert on.fingerprint() == off.fingerprint() == load_config("digits").fingerprint()
